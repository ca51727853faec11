# SPDX-License-Identifier: Apache-2.0
"""Stand-alone bundles: one network, one data set, one set of weights.

package puts it together: inputs checks what the user gives, contents merges the configurations, which metadata and
texts describe, documents writes configurations and docs (model_card, results_table, source_texts), weights, large_files
and zipping the rest.
"""
