#!/usr/bin/env python3
"""Makes scenarios/data/ryz_chat.jsonl: conversations in Mooncake's JSONL format.

No row is taken from anywhere. A conversation begins with a system prompt that all of them share;
every turn's prompt is the whole conversation so far and a new question, so that it begins with the
prompt of the turn before. A part of 512 tokens has one hash id, wherever it is the same.

  tools/make_chat_trace.py > scenarios/data/ryz_chat.jsonl
"""

import itertools
import json
import random
import sys

SEED = 20231116
CONVERSATIONS = 48
STARTS_PER_S = 1.2
TURNS_MORE = 0.8  # chance of another turn
THINK_S = (2.0, 6.0)  # between an answer, as fast as it may be, and the next question
SYSTEM_PARTS = 2
QUESTION_PARTS = (1, 1, 1, 2, 3)
ANSWER_PARTS = 1
PARTS_MAX = 28
PART_TOKENS = 512


def conversation(rng, start_s, new_id):
    """Rows (seconds, ids) of one conversation."""
    ids, t = list(range(SYSTEM_PARTS)), start_s
    while True:
        ids = ids + [next(new_id) for _ in range(rng.choice(QUESTION_PARTS))]
        if len(ids) > PARTS_MAX:
            return
        yield t, ids
        if rng.random() > TURNS_MORE:
            return
        ids = ids + [next(new_id) for _ in range(ANSWER_PARTS)]
        t += rng.uniform(*THINK_S)


def main():
    rng, new_id, t, rows = random.Random(SEED), itertools.count(SYSTEM_PARTS), 0.0, []
    for _ in range(CONVERSATIONS):
        rows += conversation(rng, t, new_id)
        t += rng.expovariate(STARTS_PER_S)
    for seconds, ids in sorted(rows, key=lambda row: row[0]):
        json.dump({"timestamp": round(seconds * 1000), "input_length": len(ids) * PART_TOKENS,
                   "output_length": ANSWER_PARTS * PART_TOKENS, "hash_ids": ids}, sys.stdout)
        print()


if __name__ == "__main__":
    main()
