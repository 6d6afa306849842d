"""The names by which Slack tells what was clicked, chosen or sent: agreed between what is drawn and what listens."""

WORDS = "lml:words:"
"""Begins the action_id of a button whose value is a command in words, such as `cancel 42`."""

OPEN = "lml:open:"
"""Begins the action_id of a button that opens a form; its value is the number of the run that it is about."""

OPEN_TRAIN, OPEN_CHANGE = f"{OPEN}train", f"{OPEN}change"
OPEN_COMPARE, OPEN_PREDICT = f"{OPEN}compare", f"{OPEN}predict"

DETAILS = "lml:link:details"
"""A link; Slack reports the click and nothing is to be done but to acknowledge it."""

TRAIN, COMPARE, PREDICT, HOME = "lml:train", "lml:compare", "lml:predict", "lml:home"
"""The callback_id of each view."""

HOME_DATASET = "lml:home:dataset"
"""The select of the home tab whose leaderboard is shown."""
HOME_REFRESH = "lml:home:refresh"
"""The button that draws the home tab anew."""

# The fields of the forms. The action_id is one of these; the block_id is the same, or begins with it and a colon, for
# a field whose content was replaced needs a new one, or Slack keeps what stood in the old one.
DATASET = "dataset"
FILE = "file"
TARGET = "target"
MODEL = "model"
BUDGET = "budget"
SEED = "seed"
MORE = "more"
RUNS = "runs"
FIELDS = (DATASET, FILE, TARGET, MODEL, BUDGET, SEED, MORE, RUNS)
