# SPDX-License-Identifier: Apache-2.0
"""What a step of a training is: update, warm-up, class weights, form of the network, average of the weights."""
