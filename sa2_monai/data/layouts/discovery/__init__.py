# SPDX-License-Identifier: Apache-2.0
"""What a folder of data is, found out from its files: :func:`find_data`, or one question where that is not certain.

============== ========================================================================================================
find, found    ``find_data`` and what it gives, ``FoundData``
recognise      the layout of a folder of one's own; data lists, checks and ``find_data`` ask here
by_folders     ``images/`` and ``masks/``; by_names: ``a_mask.png`` beside ``a.png``; by_suffix: ``a.jpg`` and ``a.png``
listing, words the image files of a folder, and the words that name folders and files
pairing        equal names, one affix, several labels per image; name_lists: parts by ``train.txt`` and others
globs          two patterns of the user's
layout         cases of a layout that was recognised; the error that is a question
contents       classes: ``dataset.json``, tables of colours (colour_tables), values of the labels
public         public data sets by their own folders
============== ========================================================================================================
"""

from __future__ import annotations

from sa2_monai.aliases import lazy_names
from sa2_monai.data.layouts.discovery.found import FoundData

__all__ = ["FoundData", "find_data"]

__getattr__ = lazy_names(__name__, {"find_data": "sa2_monai.data.layouts.discovery.find"})
