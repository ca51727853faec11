# SPDX-License-Identifier: Apache-2.0
"""Stand-alone bundles: one network, one data set, one set of weights.

package puts it together: inputs checks what the user gives, metadata and texts describe the weights, documents writes
configurations and docs (model_card, results_table, source_texts), weights, large_files and zipping the rest.
"""
