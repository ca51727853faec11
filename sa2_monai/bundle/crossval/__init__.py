# SPDX-License-Identifier: Apache-2.0
"""A K-fold cross-validation: one model per fold, the test cases, every case out of fold, the ensemble.

=========== ==========================================================================================================
request     what the caller asks for
setup       what all folds share: data, bundle, overlays, the plan
splits      the cases of each fold, as text files; of one's own data as a list of folds that are alike
commands    ``sa2-monai train`` of a fold, its evaluation, that of the ensemble
jobs        when each of them may begin, and what tells that it is done
out_of_fold all cases of the folds, scored by the models that have not seen them; ``read_out_of_fold``
scores      Dice and IoU of a run, their mean and deviation, the table
run         all of it; ``crossval.json`` says what it was begun with and what came out
=========== ==========================================================================================================
"""
