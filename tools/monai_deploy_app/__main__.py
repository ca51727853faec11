# SPDX-License-Identifier: Apache-2.0
"""The app as the SDK starts it: ``python tools/monai_deploy_app -i DICOM -o OUTPUT -m model.ts``."""

from app import SegmentationApp

SegmentationApp().run()
