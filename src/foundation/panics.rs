//! What a caught panic said.

use std::any::Any;

/// The message of a panic that [`std::panic::catch_unwind`] caught.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason was given".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_its_message() {
        let said = |work: fn()| {
            let payload = std::panic::catch_unwind(work).unwrap_err();
            panic_message(payload.as_ref())
        };
        assert_eq!(said(|| panic!("plain")), "plain");
        let number = 7;
        assert_eq!(
            panic_message(
                std::panic::catch_unwind(move || panic!("number {number}"))
                    .unwrap_err()
                    .as_ref()
            ),
            "number 7"
        );
        assert_eq!(said(|| std::panic::panic_any(7_u8)), "no reason was given");
    }
}
