"""Which bytes are text, and in which encoding: a byte order mark, UTF-8, zero bytes, a short list, Windows-1252.

General detectors are often wrong on short text, so a multi-byte or Cyrillic encoding is taken only where every byte
fits and the letters look like such a text; all else is read as Windows-1252, and the person is told. A few stray bytes
in a UTF-8 text make no other text of it: reading repairs them.
"""

import codecs
import json
import re

from shared.errors import RunFailed, failed

_MAGIC = {
    b"PK\x03\x04": "a ZIP or Excel file",
    b"\x1f\x8b": "a gzip file inside another file",
    b"\x28\xb5\x2f\xfd": "a zstd file inside another file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip file",
    b"Rar!": "a RAR file",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"\x93NUMPY": "a NumPy file",
    b"\x80\x04\x95": "a Python pickle",
    b"{\\rtf": "a rich text document",
}
# A file may hold any text; what a machine wrote and no text holds is a control character other than these.
_TEXT_CONTROLS = frozenset("\t\n\r\f\v\x1a\x1c\x1d\x1e\x1f\x85")
_SAID = "The file is not UTF-8; it was read as {}. Check letters with accents, or say encoding=..."
# Bytes of other encodings hardly ever pair up as UTF-8 wants it: so many letters for each byte that does not prove it.
_PROVING_LETTERS = 4
# Windows-1252 leaves five bytes undefined.
_UNDEFINED = "\u00a4"


def find_encoding(head: bytes, told: str | None, *, cut: bool) -> tuple[str, list[str]]:
    """The codec of the file and what a person should know of the choice.

    Raises RunFailed `dataset_binary`, `encoding_unknown` or `encoding_wrong`.
    """
    if told is not None:
        return _told_encoding(head, told, cut=cut), []
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return codec, []
    _refuse_formats(head)
    wide = _wide_encoding(head)
    if wide is not None:
        return wide, []
    try:
        text = decode(head, "utf-8", final=not cut)
    except UnicodeDecodeError:
        letters, strays = _utf8_letters(head, cut=cut)
        if letters > _PROVING_LETTERS * strays:
            _refuse_controls(read_foreign_bytes(head.decode("utf-8", "surrogateescape")))
            return "utf-8", []
        codec = _likely_encoding(head) or "cp1252"
        try:
            text = decode(head, codec, final=not cut)
        except UnicodeDecodeError:  # a likely encoding that does not know every byte
            codec, text = "cp1252", decode(head, "cp1252", final=not cut)
        _refuse_controls(text)
        return codec, [_SAID.format("Windows-1252" if codec == "cp1252" else codec)]
    _refuse_controls(text)
    return "utf-8", []


def decode(data: bytes, encoding: str, *, final: bool = True) -> str:
    """The text of `data`; with `final=False` a character that the end of the head cuts is left out, no error.

    Raises UnicodeDecodeError.
    """
    if encoding == "cp1252":
        return data.decode("cp1252", errors="replace").replace("\ufffd", _UNDEFINED)
    return codecs.getincrementaldecoder(encoding)().decode(data, final)


def head_text(head: bytes, encoding: str, *, cut: bool) -> str:
    """The text of the head in the encoding that was found. Raises RunFailed `encoding_wrong`."""
    try:
        return decode(head, encoding, final=not cut)
    except UnicodeError as error:
        if encoding in ("utf-8", "utf-8-sig"):  # a few bytes are none of it: reading repairs them
            return read_foreign_bytes(head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape"))
        raise encoding_wrong(encoding, error) from error


def encoding_wrong(encoding: str, error: UnicodeError, *, lines: int = 0) -> RunFailed:
    """The refusal of a file with bytes that its encoding does not know, `lines` below the start of the file."""
    where = ""
    if isinstance(error, UnicodeDecodeError):
        line = lines + error.object[: error.start].decode(error.encoding, "ignore").count("\n") + 1
        where = f": the byte 0x{error.object[error.start]:02x} in line {line:,} ({error.reason})"
    return failed(
        "encoding_wrong",
        f"Every byte of the file must be valid in its encoding; as {encoding} it cannot be read{where}.",
        "Save the file again as UTF-8, or name its encoding with encoding=...",
    )


def read_foreign_bytes(text: str) -> str:
    """Text that was decoded with `surrogateescape`: its bytes that are not UTF-8 become letters of Windows-1252."""
    return re.sub("[\udc80-\udcff]", lambda found: decode(found[0].encode("utf-8", "surrogateescape"), "cp1252"), text)


def not_a_table(what: str) -> RunFailed:
    """The refusal of a file that is something else than a table."""
    return failed("dataset_binary", f"A dataset is a CSV or Parquet file; this is {what}.", "Save it as CSV.")


def _told_encoding(head: bytes, told: str, *, cut: bool) -> str:
    try:
        codec = codecs.lookup(told).name
        if not codecs.lookup(told)._is_text_encoding:
            raise LookupError(told)
    except (LookupError, ValueError):
        raise failed(
            "encoding_unknown",
            f"An encoding is a name such as utf-8, utf-16, cp1252 or shift_jis; {told!r} is none that is known here.",
            "Give one of these, or leave encoding= out.",
        ) from None
    if codec == "utf-8" and head.startswith(codecs.BOM_UTF8):
        codec = "utf-8-sig"
    try:
        decode(head, codec, final=not cut)
    except UnicodeError as error:
        raise encoding_wrong(told, error) from None
    return codec


def _refuse_formats(head: bytes) -> None:
    """Raise for a file of another kind, by its first bytes."""
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise not_a_table(what)
    if head[257:262] == b"ustar":
        raise not_a_table("a tar archive")
    start = head[:4096].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise not_a_table("a web page, perhaps the login page in front of the file")
    if start.startswith(b"<?xml"):
        raise not_a_table("an XML file")
    if _is_json(head):
        raise not_a_table("a JSON file")


def _is_json(head: bytes) -> bool:
    """Whether the text begins with a JSON object, or a list of them; one per line counts too."""
    start = head.lstrip().decode("utf-8", "replace")
    start = start[1:].lstrip() if start.startswith("[") else start
    if not re.match(r'\{\s*("|\})', start):
        return False
    try:
        json.JSONDecoder().raw_decode(start)
    except RecursionError:
        return True
    except ValueError as error:
        # An object that goes on past the head is broken off at its end, no earlier.
        return len(head) > 4096 and getattr(error, "pos", 0) > len(start) - 4096
    return True


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 without a mark, by the zero bytes of its Latin letters; None for text with few zero bytes."""
    sample = head[: len(head) // 2 * 2]
    even, odd, half = sample[0::2].count(0), sample[1::2].count(0), len(sample) // 2
    # Most letters of UTF-16 text have one zero byte, always on the same side.
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    if head.count(0) > max(2, len(head) // 100):
        raise failed(
            "dataset_binary",
            f"A dataset is a CSV or Parquet file; this one is binary ({head.count(0)} zero bytes in "
            f"its first {len(head)}).",
            "Save it as CSV.",
        )
    return None


def _utf8_letters(head: bytes, *, cut: bool) -> tuple[int, int]:
    """How many letters of UTF-8 beyond ASCII there are, and how many bytes that belong to none."""
    text = head.decode("utf-8", "surrogateescape")
    text = re.sub(r"[\udc80-\udcff]+\Z", "", text) if cut else text
    strays = len(re.findall("[\udc80-\udcff]", text))
    return len(re.findall("[^\x00-\x7f]", text)) - strays, strays


def _likely_encoding(head: bytes) -> str | None:
    """Shift-JIS, GB18030 or Windows-1251, where the bytes fit and the letters look like it."""
    for codec, letters in (("cp932", "\u3041-\u30fe\u4e00-\u9fa0"), ("gb18030", "\u4e00-\u9fa5\u3001\u3002\uff0c")):
        try:
            # What follows the last ASCII byte may be half a character.
            text = head[: len(head.rstrip(bytes(range(128, 256))))].decode(codec)
        except UnicodeDecodeError:
            continue
        foreign = re.findall("[^\x00-\x7f]", text)
        typical = re.findall(f"[{letters}]", text)
        # Kana prove Japanese, pairs of bytes Chinese: a letter with an accent is one byte beside ASCII.
        pairs = [len(run) % 2 == 0 for run in re.findall(rb"[\x80-\xff]+", head)]
        proven = re.search("[\u3041-\u30fe]", text) if codec == "cp932" else sum(pairs) > 0.9 * len(pairs)
        if proven and len(typical) >= 4 and len(typical) > 0.9 * len(foreign):
            return codec
    # Letters with accents stand alone among Latin ones; Cyrillic words have nothing else.
    runs = re.findall(rb"[\xc0-\xff\xa8\xb8]+", head)
    long = sum(len(run) for run in runs if len(run) >= 3)
    return "cp1251" if long >= 6 and long > 0.7 * sum(map(len, runs)) else None


def _refuse_controls(text: str) -> None:
    controls = sum(1 for character in text if "\0" < character < " " and character not in _TEXT_CONTROLS)
    if controls > max(3, 0.01 * len(text)):
        raise failed(
            "dataset_binary",
            f"A dataset is a CSV or Parquet file; this one is binary ({controls} control characters in its start).",
            "Save it as CSV.",
        )
