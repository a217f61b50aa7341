"""docs/faults.md against the faults that are tried."""

from pathlib import Path

from integrations.quota.errors import ErrorCode
from tests.providers.faults import FAULTS

DOCUMENT = (Path(__file__).parents[1] / "docs" / "faults.md").read_text(encoding="utf-8")

PROVIDERS, STATE = DOCUMENT.split("\n# When the state fails\n")
SHOWN_BY = {
    "the file is removed": "test_a_removed_file_begins_anew_for_all",
    "`-wal` or `-shm` beside it is removed": "test_processes_stay_one_panel_whatever_is_removed",
    "others may access the file": "test_a_file_that_others_may_read_is_refused",
    "the file is damaged, or of another kind": "test_a_file_of_another_kind_is_refused",
    "the file is of a newer version": "test_a_file_of_a_newer_version_is_refused",
    "the file's folder is missing or read-only": "test_a_read_only_folder_is_refused",
    "the file is mounted by itself, without its folder": "test_a_file_that_is_mounted_by_itself_is_refused",
    "the file's folder is on two mounts of one machine": "test_a_folder_on_two_mounts_is_one_state",
    "the disk is full": "test_a_full_disk_is_named",
    "the disk is full at the start": "test_a_disk_that_is_full_at_the_start_is_named",
    "nothing can be written for another reason": "test_when_no_more_can_be_written_reading_goes_on",
    "another program keeps the file locked": "test_a_foreign_lock_is_waited_for_two_seconds_and_once",
    "the process that is asking a provider is killed": "test_when_the_asking_process_is_killed_another_one_asks",
    "Redis is down": "test_a_redis_that_is_down_says_so_at_once",
    "Redis goes and comes back": "test_a_redis_that_comes_up_is_used",
    "Redis does not answer": "test_a_redis_that_hangs_is_waited_for_half_a_second_and_once",
    "no name server answers for Redis' name": "test_a_name_server_that_hangs_is_waited_for_half_a_second",
    "Redis is slow": "test_nothing_that_people_do_waits_for_more_than_two_seconds_in_all",
    "Redis closes a connection": "test_a_connection_that_redis_closed_is_opened_anew",
    "Redis is out of memory": "test_a_full_redis_can_be_read_and_goes_on_by_itself",
    "Redis refuses the password": "test_passwords",
    "nobody vouches for Redis' certificate": "test_tls",
    "Redis is of a version before 6.2": "test_an_old_redis_is_told_by_its_missing_command",
    "Redis restarts without having kept anything": "test_a_redis_that_comes_up_is_used",
    "a clock is set back, or clocks are 5 s apart": "test_a_clock_that_is_set_back",
}


def row(name: str, code: ErrorCode, *, retried: bool = False, wait: str | None = None) -> str:
    """A fault as a line of the table."""
    sentence = code.sentence(label="IMAI", key_variable="IMAI_API_KEY", wait=wait)
    return f"| {name} | `{code}` | {code.status} | {sentence} | {'yes' if retried else 'no'} |"


def test_the_table_is_the_list_of_faults() -> None:
    """Every fault that is tried stands there with what becomes of it, and no other."""
    table = [line for line in PROVIDERS.splitlines() if line.startswith("| ")][1:]
    expected = [row("nobody answers at the address", ErrorCode.NETWORK, retried=True)]
    expected += [row("nobody takes the connection", ErrorCode.TIMEOUT)]
    expected += [row(fault.name, fault.code, retried=fault.retried, wait=fault.wait) for fault in FAULTS]
    expected += [row("no API key is set", ErrorCode.NOT_CONFIGURED)]
    assert table == expected


def test_each_fault_of_the_state_has_its_test() -> None:
    """Every line of the table is tried, and nothing that is tried there is missing from it."""
    names = [line.split(" | ")[0].removeprefix("| ") for line in STATE.splitlines() if line.startswith("| ")]
    assert names[1:] == list(SHOWN_BY)
    code = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.rglob("test_*.py"))
    for test in SHOWN_BY.values():
        assert f"def {test}(" in code
