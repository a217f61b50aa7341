"""The run of the page's script that is under way."""

from streamlit.runtime.scriptrunner import get_script_run_ctx


def is_of_whole_page() -> bool:
    """Whether it draws all, and not some fragments alone."""
    run = get_script_run_ctx()
    return run is not None and not run.fragment_ids_this_run
