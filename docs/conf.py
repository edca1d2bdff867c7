"""Sphinx configuration of the documentation: `make docs` builds it, without a network."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import mofmd  # noqa: E402  (the package beside these pages, not an installed one)

project = "mofmd"
author = "the mofmd developers"
project_copyright = "the mofmd developers, GPL-2.0-or-later"
version = release = mofmd.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "generated",  # _ext/generated.py: tables and lists from the code
    "repository_links",  # _ext/repository_links.py: links of pages to files that are no pages
]
exclude_patterns = ["_build", "_generated", "README.md"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages have no pages here
# two classes of one name in different rooms: a short name in a signature may mean either
suppress_warnings = ["ref.python"]
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the notebooks hold their outputs; a test runs them

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"mofmd {version}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

# external links are checked by `make docs-links`, where there is a network
linkcheck_timeout = 20
linkcheck_workers = 4
linkcheck_anchors = False
