"""Candidate (b): our page as a plain script, without `st.App` and all that comes with it."""

from bench import inside

inside.add_providers()
inside.sign_in()

from integrations.ui import page  # noqa: E402 - only now are the providers what they shall be

page.draw()
