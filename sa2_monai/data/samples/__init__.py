# SPDX-License-Identifier: Apache-2.0
"""Generated data sets, for tests, examples and the first minutes.

microscopy and ct paint single images, images and volumes make data sets of them, slides a whole slide; folder keeps
them apart from other files.
"""
