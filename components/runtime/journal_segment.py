"""One file of the log: made durably, read frame by frame through a small window, searched for what survived damage."""

import re
from pathlib import Path
from typing import Final

from components.runtime.disk import Disk, OpenFile
from components.runtime.journal_format import (
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES_MAX,
    Frame,
    FrameHead,
    SegmentHeader,
    pack_header,
    unpack_frame,
    unpack_frame_head,
    unpack_header,
)

WINDOW_BYTES: Final = 1 << 20  # a segment of 64 MiB never sits whole in memory
_NAME: Final = re.compile(r"\d{20}\.log")


def segment_name(first_sequence: int) -> str:
    """Name a segment by its first record, so that names sort as records do."""
    return f"{first_sequence:020}.log"


def segments_in(disk: Disk, folder: Path) -> list[int]:
    """Give the first sequence of each segment by the names of the files, in order."""
    return [int(name[:20]) for name in disk.names(folder) if _NAME.fullmatch(name)]


def create_segment(disk: Disk, folder: Path, header: SegmentHeader) -> tuple[OpenFile, int]:
    """Make a segment durable, first its header, then its name; give it with the offset of its first frame."""
    content = pack_header(header)
    file = disk.create(folder / segment_name(header.first_sequence))
    disk.write(file, 0, content)
    disk.fdatasync(file)
    disk.sync_folder(folder)
    return file, len(content)


class Segment:
    """A segment being read, perhaps while its writer is at work."""

    def __init__(self, disk: Disk, folder: Path, first_sequence: int) -> None:
        self.first_sequence, self.path = first_sequence, folder / segment_name(first_sequence)
        self._disk = disk
        self._file = disk.open(self.path, writable=False)
        self.size = disk.size(self._file)
        self._window, self._window_at = b"", 0

    def close(self) -> None:
        """Let go of the file."""
        self._disk.close(self._file)

    def header(self) -> tuple[SegmentHeader, int] | None:
        """Read the header and its length; None where it is torn or damaged, and not just being written."""
        while (found := unpack_header(self.bytes_at(0, HEADER_BYTES_MAX))) is None and self._has_changed():
            pass
        return found

    def head_at(self, offset: int) -> FrameHead | None:
        """Read the head of the frame that starts here; None where none does, or where it is longer than the file."""
        head = unpack_frame_head(self.bytes_at(offset, FRAME_HEADER_BYTES), offset)
        return head if head and offset + FRAME_HEADER_BYTES + head.body_bytes <= self.size else None

    def frame_at(self, offset: int) -> Frame | None:
        """Read the whole frame that starts here; None where none does, and none is just being written."""
        while (frame := self._valid_frame(offset)) is None and self._has_changed():
            pass
        return frame

    def valid_frame_after(self, offset: int) -> Frame | None:
        """Search byte by byte for a whole frame, the proof that what lies before it had been durable."""
        while (offset := self._find(FRAME_MAGIC, offset + 1)) >= 0:
            if frame := self._valid_frame(offset):
                return frame
        return None

    def bytes_at(self, offset: int, count: int) -> bytes:
        """Read bytes of the file as it was when last measured; fewer only where it ended."""
        start = offset - self._window_at
        if start < 0 or start + count > len(self._window):
            in_file = max(self.size - offset, 0)
            self._window = self._disk.read(self._file, offset, min(max(count, WINDOW_BYTES), in_file))
            self._window_at, start = offset, 0
        return self._window[start : start + count]

    def _valid_frame(self, offset: int) -> Frame | None:
        head = self.head_at(offset)
        return head and unpack_frame(self.bytes_at(offset, FRAME_HEADER_BYTES + head.body_bytes), offset, head)

    def _has_changed(self) -> bool:
        """Measure again: a frame that is not whole may be on its way while the file still grows."""
        size_before, self.size = self.size, self._disk.size(self._file)
        self._window, self._window_at = b"", 0
        return self.size != size_before

    def _find(self, needle: bytes, start: int) -> int:
        while start < self.size:
            chunk = self.bytes_at(start, WINDOW_BYTES)
            if (found := chunk.find(needle)) >= 0:
                return start + found
            # The needle may lie across two windows.
            start += max(len(chunk) - len(needle) + 1, 1)
        return -1
