"""The icons that providers name: where a definition is read, only their form can be checked, and not the name."""

from typing import Final

from streamlit.errors import StreamlitAPIException
from streamlit.string_util import validate_icon_or_emoji

_PLAIN: Final = ":material/api:"


def is_known(icon: str) -> bool:
    """Whether Streamlit has an icon of this name; it refuses to draw any other."""
    try:
        validate_icon_or_emoji(icon)
    except StreamlitAPIException:
        return False
    return True


def drawable(icon: str) -> str:
    """The icon, or a plain one in place of one that is not known."""
    return icon if is_known(icon) else _PLAIN
