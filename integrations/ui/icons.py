"""The icons that providers name: a definition is checked for their form, only Streamlit knows their names."""

from functools import cache
from typing import Final

from streamlit.errors import StreamlitAPIException
from streamlit.string_util import validate_icon_or_emoji

_PLAIN: Final = ":material/api:"


@cache
def is_known(icon: str) -> bool:
    """Whether Streamlit has an icon of this name; it refuses to draw any other."""
    try:
        validate_icon_or_emoji(icon)
    except StreamlitAPIException:
        return False
    return True


def drawable(icon: str) -> str:
    """Return the icon, or a plain one if it is unknown."""
    return icon if is_known(icon) else _PLAIN
