"""Every page that people meet, in each of its states, and a way to it by real requests.

``test_gallery.py`` checks that nothing is missing, ``test_every_page.py`` what each looks like in a browser, and
``python -m tests.web.preview`` takes the pictures.
"""

from tests.web.gallery import account, asking, errors, sign_in, signing_up
from tests.web.gallery.world import PAGES, Gallery

__all__ = ["PAGES", "Gallery", "account", "asking", "errors", "sign_in", "signing_up"]
