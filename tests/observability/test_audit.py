"""Every record that was acknowledged is there, in order, and a missing or altered one is found."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connector_host.errors import Level
from connector_host.observability import logs
from connector_host.observability.audit import AuditDamaged, AuditInUse, AuditTrail, AuditUnavailable, files_of
from connector_host.observability.audit_reading import read, verify, verify_all

WHOLE = {"rotate_bytes": 1_000_000, "keep_files": 0}


async def write(folder, count, *, event="export", **options):
    trail = AuditTrail(folder, **(WHOLE | options))
    await asyncio.gather(*(trail.record(event=event, number=number) for number in range(count)))
    await trail.close()


def lines(folder):
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines(keepends=True)]


def put(folder, changed):
    for path in folder.glob("*.jsonl"):
        path.unlink()
    (folder / "audit-000001.jsonl").write_bytes(b"".join(changed))


async def test_records_are_chained_and_verified(tmp_path):
    await write(tmp_path, 20)
    [finding] = verify(tmp_path)
    assert (finding.level, "20 records" in finding.fact) == (Level.OK, True)
    assert [json.loads(line)["seq"] for line in lines(tmp_path)] == list(range(1, 21))


async def test_records_of_one_turn_of_the_event_loop_are_on_disk_by_one_fsync(tmp_path, monkeypatch):
    done, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(handle), fsync(handle)))
    trail = AuditTrail(tmp_path, **WHOLE)
    first = asyncio.create_task(trail.record(event="export", number=1))
    asyncio.get_running_loop().call_soon(time.sleep, 0.05)  # the trail's thread would have written by the end of it
    second = asyncio.create_task(trail.record(event="export", number=2))
    await asyncio.gather(first, second)
    await trail.close()
    assert (len(done), len(lines(tmp_path))) == (1, 2)


async def test_the_chain_goes_on_after_a_restart(tmp_path):
    for _ in range(3):
        await write(tmp_path, 2)
    assert verify(tmp_path)[0].level is Level.OK
    assert len(lines(tmp_path)) == 6


async def test_files_are_for_their_owner_only(tmp_path):
    await write(tmp_path / "audit", 1)
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "audit" / "audit-000001.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda all_: [*all_[:3], all_[3].replace(b'"number":3', b'"number":9'), *all_[4:]], "line 4 was altered"),
        (lambda all_: [*all_[:3], *all_[4:]], "is number 5 where 4 should be"),
        (lambda all_: [*all_[:3], all_[4], all_[3], *all_[5:]], "is number 5 where 4 should be"),
        (lambda all_: [*all_[:3], b"hello\n", *all_[3:]], "is no record"),
        (lambda all_: [*all_[:3], all_[3][:40] + b"\n", *all_[4:]], "is no record"),
        (lambda all_: [*all_[:3], all_[3], all_[3], *all_[4:]], "is number 4 where 5 should be"),
    ],
)
async def test_what_was_tampered_with_is_found(tmp_path, tamper, words):
    await write(tmp_path, 6)
    put(tmp_path, tamper(lines(tmp_path)))
    [finding] = verify(tmp_path)
    assert (finding.level, words in finding.fact) == (Level.FAILURE, True), finding


async def test_a_record_that_was_sealed_anew_breaks_the_chain(tmp_path):
    await write(tmp_path / "real", 4)
    # Of the same event in the same millisecond, it would be the same chain.
    await write(tmp_path / "forged", 4, event="forged")
    put(tmp_path / "real", [*lines(tmp_path / "real")[:2], *lines(tmp_path / "forged")[2:]])
    assert "does not follow the one before it" in verify(tmp_path / "real")[0].fact


async def test_files_rotate_and_the_oldest_go(tmp_path):
    for _ in range(12):
        await write(tmp_path, 4, rotate_bytes=600, keep_files=3)
    assert len(list(tmp_path.glob("*.jsonl"))) == 3
    [finding] = verify(tmp_path)
    assert (finding.level, "were rotated away" in finding.fact) == (Level.OK, True)


@pytest.mark.parametrize("keep_files", [0, 3])
async def test_old_files_that_somebody_else_removed_are_missed(tmp_path, keep_files):
    for _ in range(12):
        await write(tmp_path, 4, rotate_bytes=600, keep_files=keep_files)
    files_of(tmp_path)[0].unlink()
    [finding] = verify(tmp_path)
    assert (finding.level, "are missing" in finding.fact) == (Level.FAILURE, True)


async def test_files_that_were_swapped_are_found(tmp_path):
    for _ in range(3):
        await write(tmp_path, 4, rotate_bytes=100)
    first, second, *_ = files_of(tmp_path)
    texts = first.read_bytes(), second.read_bytes()
    first.write_bytes(texts[1])
    second.write_bytes(texts[0])
    assert "is number 1 where 9 should be" in verify(tmp_path)[0].fact


@pytest.mark.parametrize("take", [Path.unlink, lambda path: path.rename(path.with_suffix(".gz"))])
async def test_a_file_that_is_taken_away_takes_no_later_record_with_it(tmp_path, take):
    trail = AuditTrail(tmp_path, **WHOLE)
    await trail.record(event="export", number=1)
    take(files_of(tmp_path)[0])
    await trail.record(event="export", number=2)
    await trail.close()
    assert [json.loads(line)["event"] for line in lines(tmp_path)] == ["missing", "export"]
    assert "before number 2 are missing" in verify(tmp_path)[0].fact


async def test_the_chain_goes_on_however_few_files_are_kept(tmp_path):
    for _ in range(3):
        await write(tmp_path, 2, rotate_bytes=100, keep_files=1)
    await write(tmp_path, 1)
    numbers = [json.loads(line)["seq"] for line in lines(tmp_path)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert verify(tmp_path)[0].level is Level.OK


def test_an_empty_folder_proves_nothing(tmp_path):
    assert verify(tmp_path)[0].level is Level.WARNING


async def test_a_host_that_exported_by_hand_only_is_suspected_of_nothing_until_it_has_served(tmp_path):
    await write(tmp_path / "by-hand", 1)
    assert [one.level for findings in verify_all(tmp_path).values() for one in findings] == [Level.OK, Level.OK]
    [sealed] = verify_all(tmp_path, ["0" * 64])["audit"]
    assert sealed.level is Level.FAILURE
    await write(tmp_path, 1)
    (tmp_path / "audit-000001.jsonl").unlink()
    assert [one.level for one in verify_all(tmp_path)["audit"]] == [Level.WARNING]


async def test_a_record_that_a_crash_cut_off_is_cut_away_and_told(tmp_path):
    await write(tmp_path, 3)
    with (tmp_path / "audit-000001.jsonl").open("ab") as file:
        file.write(b'{"seq":4,"ti')
    stream = io.StringIO()
    logs.configure("json", "info", stream=stream)
    await write(tmp_path, 1)
    [told] = map(json.loads, stream.getvalue().splitlines())
    assert (told["event"], told["level"], told["dropped_bytes"]) == ("audit.recovered", "warning", 12)
    assert told["path"] == str(tmp_path)
    assert verify(tmp_path)[0].level is Level.OK
    events = [content["event"] for _, content in read(tmp_path)]
    assert events == ["export", "export", "export", "recovered", "export"]


async def test_a_cut_of_a_record_that_was_acknowledged_is_warned_of_for_as_long_as_the_trail_says_so(tmp_path):
    await write(tmp_path, 3)
    path = tmp_path / "audit-000001.jsonl"
    os.truncate(path, path.stat().st_size - 40)
    left = len(path.read_bytes().splitlines()[-1])
    for _ in range(2):
        await write(tmp_path, 1)
        sound, warned = verify(tmp_path)
        assert (sound.level, warned.level) == (Level.OK, Level.WARNING)
        assert f"Record 3 says that {left} bytes" in warned.fact
        assert json.loads(lines(tmp_path)[2])["time"] in warned.fact
        assert "--seal" in warned.mend


CRASHING = """
import asyncio, os, sys
from pathlib import Path
from connector_host.observability.audit import AuditTrail

async def main():
    trail = AuditTrail(Path(sys.argv[1]), rotate_bytes=1_000_000, keep_files=0)
    number = 0
    while True:
        await asyncio.gather(*(trail.record(event="export", number=number + more) for more in range(5)))
        number += 5
        os.write(1, f"{number}\\n".encode())

asyncio.run(main())
"""


def test_no_acknowledged_record_is_lost_when_the_process_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", CRASHING, tmp_path], stdout=subprocess.PIPE) as process:
        seen = [process.stdout.readline() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        seen += process.stdout.read().splitlines()
    acknowledged = int(seen[-1])
    asyncio.run(write(tmp_path, 1))
    numbers = [content["number"] for _, content in read(tmp_path) if content["event"] == "export"]
    assert set(range(acknowledged)) <= set(numbers)
    assert verify(tmp_path)[0].level is Level.OK


FULL = """
import asyncio, pathlib, resource, sys
from connector_host.observability.audit import AuditTrail, AuditUnavailable

async def main(folder):
    trail = AuditTrail(folder, rotate_bytes=1_000_000, keep_files=0)
    await trail.record(event="export", number=0)
    file = folder / "audit-000001.jsonl"
    size, left = file.stat().st_size, []
    for room in range(0, size, 20):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
        try:
            await trail.record(event="export", number=1)
        except AuditUnavailable:
            left.append(file.stat().st_size - size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await trail.record(event="export", number=2)
    await trail.close()
    print(left)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""
"""The disk takes ever more of a record, and never the whole of it."""


def test_nothing_is_left_of_a_record_that_the_disk_took_a_part_of(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)
    left = json.loads(done.stdout.splitlines()[-1])  # after what was logged
    assert (len(left) > 5, set(left)) == (True, {0})
    assert [content["number"] for _, content in read(tmp_path)] == [0, 2]
    assert verify(tmp_path)[0].level is Level.OK


async def test_a_record_that_cannot_be_taken_back_goes_before_the_next_one_is_written(tmp_path, monkeypatch):
    trail = AuditTrail(tmp_path, **WHOLE)
    await trail.record(event="export", number=1)
    with monkeypatch.context() as patch:
        for name in ("fsync", "ftruncate"):
            patch.setattr(f"connector_host.observability.audit.os.{name}", _disk_full)
        for number in (2, 3):
            with pytest.raises(AuditUnavailable, match="No space left"):
                await trail.record(event="export", number=number)
    await trail.record(event="export", number=4)
    await trail.close()
    assert [content.get("number") for _, content in read(tmp_path)] == [1, 4]
    assert verify(tmp_path)[0].level is Level.OK


async def test_of_another_file_nothing_is_taken_back(tmp_path, monkeypatch):
    trail = AuditTrail(tmp_path, rotate_bytes=100, keep_files=0)
    await trail.record(event="export", number=1)
    first = (tmp_path / "audit-000001.jsonl").read_bytes()
    with monkeypatch.context() as patch:
        for name in ("fsync", "ftruncate"):
            patch.setattr(f"connector_host.observability.audit.os.{name}", _disk_full)
        with pytest.raises(AuditUnavailable, match="No space left"):
            await trail.record(event="export", number=2)
    (tmp_path / "audit-000002.jsonl").unlink()
    await trail.record(event="export", number=3)
    await trail.close()
    assert first
    assert (tmp_path / "audit-000001.jsonl").read_bytes().startswith(first)


async def test_a_trail_that_cannot_be_written_says_so_and_recovers(tmp_path, monkeypatch):
    trail = AuditTrail(tmp_path, **WHOLE)
    await trail.record(event="export", number=1)
    with monkeypatch.context() as patch:
        patch.setattr("connector_host.observability.audit.os.fsync", _disk_full)
        with pytest.raises(AuditUnavailable, match="No space left"):
            await trail.record(event="export", number=2)
        with pytest.raises(AuditUnavailable):
            await trail.demand()
    await trail.demand()
    await trail.record(event="export", number=3)
    await trail.close()
    assert [content.get("number") for _, content in read(tmp_path)] == [1, None, 3]
    assert verify(tmp_path)[0].level is Level.OK


async def test_a_record_that_cannot_be_sealed_stops_no_other_one(tmp_path):
    trail = AuditTrail(tmp_path, **WHOLE)
    endless = {}
    endless["in"] = endless
    with pytest.raises(AuditUnavailable, match="RecursionError"):
        await asyncio.wait_for(trail.record(event="export", values=endless), 10)
    await asyncio.wait_for(trail.record(event="export", number=1), 10)
    await trail.close()
    assert verify(tmp_path)[0].level is Level.OK


async def test_a_copy_that_somebody_keeps_in_the_folder_is_no_part_of_the_trail(tmp_path):
    await write(tmp_path, 4)
    copy = tmp_path / "audit-backup.jsonl"
    copy.write_bytes(b"".join(lines(tmp_path)))
    before = copy.read_bytes()
    await asyncio.wait_for(write(tmp_path, 4, rotate_bytes=600), 10)
    assert copy.read_bytes() == before
    assert "8 records" in verify(tmp_path)[0].fact


async def test_a_rotation_that_fails_takes_no_record_back(tmp_path, monkeypatch):
    monkeypatch.setattr("connector_host.observability.audit.make_file", _disk_full)
    await write(tmp_path, 4, rotate_bytes=100)
    await write(tmp_path, 4, rotate_bytes=100)
    assert "8 records" in verify(tmp_path)[0].fact


def _disk_full(*_, **__):
    raise OSError(28, "No space left on device")


async def test_a_second_process_may_not_write_to_the_same_trail(tmp_path):
    first = AuditTrail(tmp_path, **WHOLE)
    await first.record(event="export")
    with pytest.raises(AuditInUse, match="is the host running already"):
        AuditTrail(tmp_path, **WHOLE)
    await first.record(event="export")
    await first.close()
    await write(tmp_path, 1)
    assert "3 records" in verify(tmp_path)[0].fact


@pytest.mark.parametrize("line", [b"garbage\n", b"{}\n", b'{"seq":"one","hash":1}\n', b"[]\n"])
async def test_an_end_that_is_no_record_is_told_and_left_as_it_is(tmp_path, line):
    await write(tmp_path, 1)
    file = tmp_path / "audit-000001.jsonl"
    content = file.read_bytes() + line
    file.write_bytes(content)
    with pytest.raises(AuditDamaged, match=r"audit-000001\.jsonl is no record"):
        AuditTrail(tmp_path, **WHOLE)
    assert file.read_bytes() == content


@pytest.mark.parametrize("files", [["audit-000001.jsonl"], ["audit-000001.jsonl", "audit-000002.jsonl"]])
async def test_half_a_record_is_evidence_where_the_end_before_it_is_damaged(tmp_path, files):
    contents = {tmp_path / name: b'{"seq":"one","hash":1}\n{"se' if name == files[0] else b'{"seq":3' for name in files}
    for file, content in contents.items():
        file.write_bytes(content)
    with pytest.raises(AuditDamaged, match=r"audit-000001\.jsonl is no record"):
        AuditTrail(tmp_path, **WHOLE)
    assert {file: file.read_bytes() for file in contents} == contents


async def test_what_no_text_can_hold_is_escaped_and_stops_no_other_record(tmp_path):
    trail = AuditTrail(tmp_path, **WHOLE)
    await asyncio.gather(
        *(trail.record(event="export", anchor=anchor, attributes={"Name": anchor}) for anchor in ("a", "b\ud800", "c"))
    )
    await trail.close()
    assert [json.loads(line)["anchor"] for line in lines(tmp_path)] == ["a", "b\\ud800", "c"]
    assert verify(tmp_path)[0].level is Level.OK


async def test_a_seal_that_was_kept_proves_that_nothing_was_cut_off(tmp_path):
    await write(tmp_path, 5)
    kept = json.loads(lines(tmp_path)[-1])["hash"]
    await write(tmp_path, 5)
    assert verify(tmp_path, [kept])[0].level is Level.OK
    put(tmp_path, lines(tmp_path)[:3])
    assert verify(tmp_path)[0].level is Level.OK
    [finding] = verify(tmp_path, [kept])
    assert (finding.level, "No record has the seal" in finding.fact) == (Level.FAILURE, True)


async def test_a_record_that_is_being_written_is_no_tampering(tmp_path):
    await write(tmp_path, 3)
    whole = lines(tmp_path)
    put(tmp_path, [*whole[:2], whole[2][:-20]])
    assert [finding.level for finding in verify(tmp_path)] == [Level.OK, Level.WARNING]


async def test_a_line_without_an_end_in_the_middle_is_found(tmp_path):
    await write(tmp_path, 3)
    whole = lines(tmp_path)
    put(tmp_path, whole[:2])
    (tmp_path / "audit-000001.jsonl").write_bytes(b"".join(whole[:2])[:-20])
    (tmp_path / "audit-000002.jsonl").write_bytes(whole[2])
    assert "breaks off" in verify(tmp_path)[0].fact
