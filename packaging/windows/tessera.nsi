; The Windows installer. For one user, without administrator rights: everything it writes is the user's own.
; packaging/windows/build-installer gives VERSION, OUT and FILES, the folder of all that is packed.
Unicode true
!include "MUI2.nsh"
!include "FileFunc.nsh"

!define ID "art.tessera.Tessera"
!define TYPE "Tessera.Project"
!define UNINSTALL_KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\${ID}"

!cd "${FILES}"
Name "Tessera"
OutFile "${OUT}"
RequestExecutionLevel user
InstallDir "$LOCALAPPDATA\Programs\Tessera"
InstallDirRegKey HKCU "Software\Tessera" "Folder"
SetCompressor /SOLID lzma
ManifestDPIAware true
VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "Tessera"
VIAddVersionKey "FileDescription" "Tessera installer"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "The Tessera developers; MIT OR Apache-2.0"

!define MUI_ICON "tessera.ico"
!define MUI_UNICON "tessera.ico"
!define MUI_FINISHPAGE_RUN "$INSTDIR\tessera.exe"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

Section "Tessera"
  SetOutPath "$INSTDIR"
  File "tessera.exe"
  File "tessera-cli.exe"
  File "LICENSE-MIT"
  File "LICENSE-APACHE"
  File "font-licence.txt"
  File "third-party-licences.txt"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\Tessera.lnk" "$INSTDIR\tessera.exe"

  ; A double-click on a project opens it.
  WriteRegStr HKCU "Software\Classes\.tessera" "" "${TYPE}"
  WriteRegStr HKCU "Software\Classes\.tessera" "Content Type" "application/x-tessera-project"
  WriteRegStr HKCU "Software\Classes\${TYPE}" "" "Tessera project"
  WriteRegStr HKCU "Software\Classes\${TYPE}\DefaultIcon" "" "$INSTDIR\tessera.exe,0"
  WriteRegStr HKCU "Software\Classes\${TYPE}\shell\open\command" "" '"$INSTDIR\tessera.exe" "%1"'
  ; Pictures keep their program; this one is offered under "Open with".
  WriteRegStr HKCU "Software\Classes\Applications\tessera.exe\shell\open\command" "" '"$INSTDIR\tessera.exe" "%1"'
  WriteRegStr HKCU "Software\Classes\Applications\tessera.exe" "FriendlyAppName" "Tessera"
  !macro OPENS EXTENSION
    WriteRegStr HKCU "Software\Classes\Applications\tessera.exe\SupportedTypes" "${EXTENSION}" ""
  !macroend
  !insertmacro OPENS ".png"
  !insertmacro OPENS ".jpg"
  !insertmacro OPENS ".jpeg"
  !insertmacro OPENS ".webp"
  !insertmacro OPENS ".gif"
  !insertmacro OPENS ".bmp"
  !insertmacro OPENS ".tif"
  !insertmacro OPENS ".tiff"

  WriteRegStr HKCU "Software\Tessera" "Folder" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayName" "Tessera"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayIcon" "$INSTDIR\tessera.exe,0"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "Publisher" "The Tessera developers"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "EstimatedSize" $0
  ; The Explorer learns of it now: SHCNE_ASSOCCHANGED.
  System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
SectionEnd

; Projects and preferences are the user's work and stay.
Section "Uninstall"
  Delete "$INSTDIR\tessera.exe"
  Delete "$INSTDIR\tessera-cli.exe"
  Delete "$INSTDIR\LICENSE-MIT"
  Delete "$INSTDIR\LICENSE-APACHE"
  Delete "$INSTDIR\font-licence.txt"
  Delete "$INSTDIR\third-party-licences.txt"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\Tessera.lnk"
  ReadRegStr $0 HKCU "Software\Classes\.tessera" ""
  StrCmp $0 "${TYPE}" 0 other
  DeleteRegKey HKCU "Software\Classes\.tessera"
other:
  DeleteRegKey HKCU "Software\Classes\${TYPE}"
  DeleteRegKey HKCU "Software\Classes\Applications\tessera.exe"
  DeleteRegKey HKCU "Software\Tessera"
  DeleteRegKey HKCU "${UNINSTALL_KEY}"
  System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
SectionEnd
