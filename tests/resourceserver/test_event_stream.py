"""Server-sent events, HTML 9.2.5 and 9.2.6."""

import pytest

from resourceserver.event_stream import MAX_DATA, MAX_LINE, Comment, Event, EventStreamParser, Item


def read(stream: bytes, size: int = 1 << 20) -> list[Item]:
    parser = EventStreamParser()
    return [item for at in range(0, len(stream), size) for item in parser.feed(stream[at : at + size])]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_end_in_three_ways_and_may_be_cut_anywhere(end: bytes, size: int) -> None:
    lines = [
        b"\xef\xbb\xbfevent: a",
        b"data: 1",
        b"data:2",
        b"",
        b": still here",
        b"data",
        b"",
        b"data: \xc3\xa9",
        b"",
        b"",
    ]
    assert read(end.join(lines), size) == [
        Event("a", b"1\n2"),
        Comment(b"still here"),
        Event("message", b""),
        Event("message", "é".encode()),
    ]


def test_a_byte_order_mark_counts_at_the_beginning_only() -> None:
    assert read(b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n") == [Event("message", b"1")]
    assert read(b"\xef\xbbdata: 1\n\ndata: 2\n\n") == [Event("message", b"2")]


def test_one_space_belongs_to_the_colon_and_unknown_fields_say_nothing() -> None:
    assert read(b"data:  a: b \nDATA: c\ndata : d\nwhat: e\n\n") == [Event("message", b" a: b ")]


def test_an_event_without_data_is_none_but_its_id_counts() -> None:
    parser = EventStreamParser("old")
    assert parser.feed(b"event: x\nid: 1\n\n") == []
    assert parser.last_event_id == "1"
    assert parser.feed(b"data: y\n\n") == [Event("message", b"y")]


def test_an_id_counts_when_its_event_is_complete() -> None:
    parser = EventStreamParser("old")
    parser.feed(b"id: 1\ndata: x\n")
    assert parser.last_event_id == "old"
    parser.feed(b"\nid: 2\ndata: y")
    assert parser.last_event_id == "1"


def test_an_id_with_a_nul_is_ignored_and_an_empty_one_is_none() -> None:
    parser = EventStreamParser("old")
    parser.feed(b"id: 1\0\ndata: x\n\n")
    assert parser.last_event_id == "old"
    parser.feed(b"id\ndata: x\n\n")
    assert parser.last_event_id == ""


@pytest.mark.parametrize("value", [b"", b"1.5", b"-1", b"1e3", b"\xd9\xa1", b"1 ", b"9" * 10])
def test_a_retry_is_digits_and_not_too_many(value: bytes) -> None:
    parser = EventStreamParser()
    parser.feed(b"retry: 300\nretry: " + value + b"\n")
    assert parser.retry == 300


def test_a_line_and_an_event_have_a_limit() -> None:
    assert read(b"data: " + b"x" * (MAX_LINE - 6) + b"\n\n")
    for stream in (b"x" * (MAX_LINE + 1), b":" * (MAX_LINE + 1) + b"\n", (b"data: " + b"x" * 8000 + b"\n") * 9):
        with pytest.raises(ValueError):
            read(stream, 4096)
    assert len(read((b"data: " + b"x" * 8000 + b"\n") * (MAX_DATA // 8001) + b"\n", 4096)) == 1


def test_what_the_stream_ends_in_the_middle_of_is_lost() -> None:
    assert read(b"data: 1\n\ndata: 2\n") == [Event("message", b"1")]
