//! Measures the desktop program in a real window on a virtual screen: start, idling, memory, dabs while a fine-tune
//! runs, and scrolling through 100,000 pictures. Needs Linux, Xvfb and xdotool.
//!
//! `cargo build --release && cargo bench --bench measure_window -- [PROGRAM] [start|idle|memory|dabs|busy|scroll]…`

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
#[path = "../tests/common/many.rs"]
mod many;

#[cfg(target_os = "linux")]
#[allow(clippy::print_stdout, clippy::unwrap_used)] // a program to be read on a terminal, and stopped by what fails
mod linux {
    use std::io::{BufRead, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use crossbeam_channel::{Receiver, bounded};
    use tessera::project::Project;
    use tessera::settings::{Folders, Settings};

    /// Nothing that is waited for takes so long.
    const PATIENCE: Duration = Duration::from_secs(120);

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    pub fn main() {
        let mut arguments = std::env::args()
            .skip(1)
            .filter(|a| a != "--bench")
            .peekable();
        let program = match arguments.peek() {
            Some(first) if Path::new(first).is_file() => PathBuf::from(arguments.next().unwrap()),
            _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/tessera"),
        };
        let mut wanted: Vec<String> = arguments.collect();
        if wanted.is_empty() {
            wanted = ["start", "idle", "memory", "dabs", "busy", "scroll"]
                .map(str::to_owned)
                .into();
        }
        let screen = Screen::start();
        for name in &wanted {
            match name.as_str() {
                "start" => start(&screen, &program),
                "idle" => idle(&screen, &program),
                "memory" => memory(&screen, &program),
                "dabs" => dabs(&screen, &program),
                "busy" => busy(&screen, &program),
                "scroll" => scroll(&screen, &program),
                other => panic!("there is no measurement called {other}"),
            }
        }
    }

    struct Screen {
        display: String,
        _server: Killed,
    }

    impl Screen {
        fn start() -> Self {
            let server = Command::new("Xvfb")
                .args(["-displayfd", "1", "-screen", "0", "1280x800x24"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("Xvfb is installed");
            let mut server = Killed(server);
            let mut number = String::new();
            let output = server.0.stdout.take().unwrap();
            BufReader::new(output).read_line(&mut number).unwrap();
            Self {
                display: format!(":{}", number.trim()),
                _server: server,
            }
        }

        fn xdotool(&self, words: &str) -> bool {
            Command::new("xdotool")
                .args(words.split_whitespace())
                .env("DISPLAY", &self.display)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("xdotool is installed")
                .success()
        }

        /// A stroke of `steps` dabs, `pause` apart, at a height of the canvas.
        fn stroke(&self, y: u32, steps: u32, pause: Duration) {
            self.xdotool(&format!("mousemove 300 {y}"));
            std::thread::sleep(Duration::from_millis(100));
            self.xdotool("mousedown 1");
            for step in 1..=steps {
                self.xdotool(&format!(
                    "mousemove {} {}",
                    300 + step * 400 / steps,
                    y + step % 7
                ));
                std::thread::sleep(pause);
            }
            self.xdotool("mouseup 1");
        }
    }

    /// The program under measurement, and what it says.
    struct Window {
        program: Killed,
        started: Instant,
        lines: Receiver<(Duration, String)>,
        said: Vec<(Duration, String)>,
    }

    impl Window {
        fn open(screen: &Screen, program: &Path, home: &Path, files: &[&Path]) -> Self {
            let settings = Settings {
                welcome_seen: true,
                ..Settings::default()
            };
            settings
                .save(&Folders::within(home).settings_file())
                .unwrap();
            let started = Instant::now();
            let child = Command::new(program)
                .args(files)
                .env("DISPLAY", &screen.display)
                .env_remove("WAYLAND_DISPLAY")
                .env("TESSERA_HOME", home)
                .env("RUST_LOG", "info,wgpu_core=error,wgpu_hal=off,naga=error")
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program was built");
            let mut program = Killed(child);
            let (sender, lines) = bounded(100_000);
            let output = program.0.stderr.take().unwrap();
            std::thread::Builder::new()
                .name("what the program says".into())
                .spawn(move || {
                    for line in BufReader::new(output).lines().map_while(Result::ok) {
                        let _ = sender.send((started.elapsed(), line));
                    }
                })
                .unwrap();
            let mut window = Self {
                program,
                started,
                lines,
                said: Vec::new(),
            };
            window.until("ready to paint");
            // No window manager gives it the keyboard.
            assert!(
                screen.xdotool("search --onlyvisible --name ^Tessera$ windowmove 0 0 windowfocus")
            );
            window
        }

        /// Waits for a line with these words. Returns when it came, after the start.
        fn until(&mut self, words: &str) -> Duration {
            loop {
                self.said.extend(self.lines.try_iter());
                if let Some((at, _)) = self.said.iter().find(|(_, line)| line.contains(words)) {
                    return *at;
                }
                assert!(
                    self.started.elapsed() < PATIENCE * 3,
                    "the program did not say “{words}” but {:?}",
                    self.said
                );
                std::thread::sleep(Duration::from_millis(2));
            }
        }

        fn proc(&self, file: &str) -> String {
            std::fs::read_to_string(format!("/proc/{}/{file}", self.program.0.id())).unwrap()
        }

        /// Processor time so far, in hundredths of a second.
        fn ticks(&self) -> u64 {
            let stat = self.proc("stat");
            let fields: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        }

        /// Percent of one core during some seconds.
        fn load(&self, seconds: u64) -> f64 {
            let before = self.ticks();
            std::thread::sleep(Duration::from_secs(seconds));
            (self.ticks() - before) as f64 / seconds as f64
        }

        fn status_mb(&self, name: &str) -> u64 {
            let status = self.proc("status");
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            let kib: u64 = line
                .trim_matches([':', ' ', '\t', 'k', 'B'])
                .parse()
                .unwrap();
            kib * 1024 / 1_000_000
        }

        /// Closes it, and prints its own figures.
        fn close(mut self, screen: &Screen) {
            screen.xdotool("key ctrl+q");
            let deadline = Instant::now() + PATIENCE;
            while self.program.0.try_wait().unwrap().is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(100));
            self.said.extend(self.lines.try_iter());
            for (_, line) in &self.said {
                let is_figure = ["half within", "a frame took", "WARN", "ERROR"];
                if is_figure.iter().any(|words| line.contains(words)) {
                    println!("    {line}");
                }
            }
        }
    }

    fn start(screen: &Screen, program: &Path) {
        println!("start: first frame on the screen, ready to paint (new home each time)");
        for _ in 0..5 {
            let home = tempfile::tempdir().unwrap();
            let mut window = Window::open(screen, program, home.path(), &[]);
            let first = window.until("the first frame is on the screen");
            let ready = window.until("ready to paint");
            println!(
                "    {:.2} s, {:.2} s",
                first.as_secs_f64(),
                ready.as_secs_f64()
            );
        }
    }

    fn idle(screen: &Screen, program: &Path) {
        println!("idle: percent of one core over 5 s");
        let home = tempfile::tempdir().unwrap();
        let samples = tempfile::tempdir().unwrap();
        tessera::engine::write_samples(samples.path()).unwrap();
        let mut window = Window::open(screen, program, home.path(), &[samples.path()]);
        window.until("Imported");
        std::thread::sleep(Duration::from_secs(2));
        println!(
            "    after an import, its notice shown: {:.1}",
            window.load(2)
        );
        screen.xdotool("key F8");
        std::thread::sleep(Duration::from_secs(10));
        println!("    before painting: {:.1}", window.load(5));
        for stroke in 0..4 {
            screen.stroke(300 + stroke * 50, 20, Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_secs(2));
        println!(
            "    after painting, the pointer on the canvas: {:.1}",
            window.load(5)
        );
        screen.xdotool("key ctrl+e");
        window.until("xported");
        std::thread::sleep(Duration::from_secs(1));
        println!(
            "    after an export, its notice shown: {:.1}",
            window.load(2)
        );
        for (key, page) in [
            ("F5", "Pictures"),
            ("F6", "Fine-tune"),
            ("F7", "Codebook"),
            ("F9", "Export"),
            ("F8", "Paint"),
        ] {
            screen.xdotool(&format!("key {key}"));
            std::thread::sleep(Duration::from_secs(3));
            println!("    {page}: {:.1}", window.load(5));
        }
        window.close(screen);
    }

    fn with_large_picture(screen: &Screen, program: &Path, home: &Path) -> Window {
        let picture = home.join("large.png");
        image::RgbImage::from_fn(2048, 2048, |x, y| {
            let wave = |v: u32| (v / 3 % 256) as u8;
            image::Rgb([wave(x), wave(y), wave(x * y / 200)])
        })
        .save(&picture)
        .unwrap();
        let mut window = Window::open(screen, program, home, &[&picture]);
        window.until("Opened “large”");
        window
    }

    /// What the program prints when it is closed says how long each dab took to all of its pixels.
    fn dabs(screen: &Screen, program: &Path) {
        for (level, keys) in [("structure", "key ctrl+1"), ("detail", "key ctrl+1 d")] {
            println!("dabs on 2048 × 2048 px at 100 %, {level}");
            let home = tempfile::tempdir().unwrap();
            let window = with_large_picture(screen, program, home.path());
            std::thread::sleep(Duration::from_secs(20));
            screen.xdotool("mousemove 500 500");
            screen.xdotool(keys);
            std::thread::sleep(Duration::from_secs(3));
            for stroke in 0..6 {
                screen.stroke(300 + stroke * 40, 100, Duration::from_millis(8));
            }
            std::thread::sleep(Duration::from_secs(2));
            window.close(screen);
        }
    }

    fn memory(screen: &Screen, program: &Path) {
        println!("memory with a document of 2048 × 2048 px, painted on");
        let home = tempfile::tempdir().unwrap();
        let window = with_large_picture(screen, program, home.path());
        // As long as somebody looks before painting.
        std::thread::sleep(Duration::from_secs(8));
        let opened = window.status_mb("VmRSS");
        for stroke in 0..4 {
            screen.stroke(300 + stroke * 50, 20, Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_secs(2));
        let (painted, peak) = (window.status_mb("VmRSS"), window.status_mb("VmHWM"));
        println!("    opened {opened} MB, painted {painted} MB, peak {peak} MB");
        // Freed pages go back to the system a while later.
        std::thread::sleep(Duration::from_secs(25));
        screen.xdotool("mousemove 500 500");
        std::thread::sleep(Duration::from_secs(2));
        println!("    half a minute later {} MB", window.status_mb("VmRSS"));
        window.close(screen);
    }

    fn busy(screen: &Screen, program: &Path) {
        println!("import, fine-tune and painting at once");
        let home = tempfile::tempdir().unwrap();
        let samples = tempfile::tempdir().unwrap();
        for copy in 0..8 {
            tessera::engine::write_samples(&samples.path().join(copy.to_string())).unwrap();
        }
        let mut window = Window::open(screen, program, home.path(), &[samples.path()]);
        screen.xdotool("key F8");
        for stroke in 0..3 {
            screen.stroke(300 + stroke * 50, 20, Duration::from_millis(30));
        }
        window.until("Imported");
        screen.xdotool("key F6");
        std::thread::sleep(Duration::from_millis(500));
        screen.xdotool("key ctrl+Return");
        std::thread::sleep(Duration::from_secs(8));
        println!(
            "    while it learns, percent of one core: {:.0}",
            window.load(3)
        );
        screen.xdotool("key F8");
        for stroke in 0..10 {
            screen.stroke(250 + stroke * 30, 40, Duration::from_millis(50));
        }
        println!(
            "    memory {} MB, peak {} MB",
            window.status_mb("VmRSS"),
            window.status_mb("VmHWM")
        );
        window.close(screen);
    }

    fn scroll(screen: &Screen, program: &Path) {
        println!("scrolling through 100,000 pictures");
        let home = tempfile::tempdir().unwrap();
        let path = Folders::within(home.path()).first_project();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut project = Project::create(&path).unwrap();
        super::many::add_pictures(&mut project, &home.path().join("pictures"), 100_000);
        drop(project);
        let window = Window::open(screen, program, home.path(), &[]);
        screen.xdotool("key F5");
        std::thread::sleep(Duration::from_secs(3));
        screen.xdotool("mousemove 640 500");
        let before = window.status_mb("VmRSS");
        for _ in 0..600 {
            screen.xdotool("click --repeat 3 --delay 2 5");
        }
        // The scroll bar, from top to bottom.
        screen.xdotool("mousemove 1262 250 mousedown 1");
        for y in 0..100 {
            screen.xdotool(&format!("mousemove 1262 {}", 250 + y * 5));
            std::thread::sleep(Duration::from_millis(30));
        }
        screen.xdotool("mouseup 1");
        println!(
            "    memory {before} MB before, {} MB after",
            window.status_mb("VmRSS")
        );
        window.close(screen);
    }
}
