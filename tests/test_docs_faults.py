"""docs/faults.md against the faults that are tried."""

from pathlib import Path

from integrations.quota.errors import ErrorCode
from tests.providers.faults import FAULTS

DOCUMENT = (Path(__file__).parents[1] / "docs" / "faults.md").read_text(encoding="utf-8")

PROVIDERS, STATE = DOCUMENT.split("\n# When the state fails\n")
SHOWN_BY = {
    "the file is removed": "test_processes_stay_one_panel_if_the_file_is_removed",
    "others may access the file": "test_a_file_that_others_may_read_is_refused",
    "the file is of another kind": "test_a_file_of_another_kind_is_refused",
    "a page of the file is damaged": "test_damage_behind_the_first_page_is_refused",
    "the file is of a newer version": "test_a_file_of_a_newer_version_is_refused",
    "the file's folder is missing or read-only": "test_a_read_only_folder_is_refused",
    "the file is mounted without its folder": "test_a_file_that_is_mounted_without_its_folder_is_refused",
    "the file's folder is on two mounts of one machine": "test_a_folder_on_two_mounts_is_one_state",
    "the disk is full": "test_a_full_disk_is_reported_and_reading_continues",
    "the disk is full at the start": "test_a_disk_that_is_full_at_the_start_is_reported",
    "nothing can be written for another reason": "test_reading_continues_if_nothing_can_be_written",
    "another program keeps the file locked": "test_a_locked_file_is_waited_for_two_seconds_and_once",
    "a process is killed while it asks a provider": "test_if_the_asking_process_is_killed_the_other_one_asks",
    "Redis is down": "test_a_redis_that_is_down_fails_at_once",
    "Redis goes and comes back": "test_a_redis_that_comes_up_is_used",
    "Redis does not answer": "test_only_the_first_calls_wait_for_a_redis_that_hangs",
    "Redis sends an answer slowly or byte by byte": "test_a_redis_that_is_too_slow_fails_as_one_that_hangs",
    "one answer of Redis is late": "test_reading_survives_one_late_answer",
    "Redis is slow": "test_an_action_waits_for_a_few_answers",
    "no name server answers for Redis' name": "test_a_name_server_that_hangs_is_waited_for_half_a_second",
    "Redis closes a connection": "test_a_connection_that_redis_closed_is_opened_again",
    "Redis is out of memory": "test_a_full_redis_can_be_read",
    "Redis refuses the password": "test_passwords",
    "Redis' certificate is not trusted": "test_tls",
    "Redis is of a version before 6.2": "test_an_old_redis_is_found_by_its_missing_command",
    "Redis is in cluster mode": "test_a_cluster_is_refused",
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
    expected = [row("no server at the address", ErrorCode.NETWORK, retried=True)]
    expected += [row("no connection accepted", ErrorCode.TIMEOUT)]
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
