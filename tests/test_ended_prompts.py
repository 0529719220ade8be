"""What a report says of the prompts of an image."""

from pathlib import Path

import numpy as np
from test_instance_spool import made_instances

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.runs.ended_prompts import EndedPrompts
from nuclick_wsi.runs.instance_spool import InstanceSpool


def test_the_unsure_come_the_least_sure_first_and_those_alike_by_their_ids(tmp_path: Path) -> None:
    instances = made_instances(60)
    levels = np.random.default_rng(0).integers(0, 8, 60) / 8
    unlike = [
        type(one)(one.prompt_id, one.kind, one.polygon, one.class_name, one.plane, 1.0, 0.5, level)
        for one, level in zip(instances, levels.tolist(), strict=True)
    ]
    rejections = [Rejection(name, Reason.TAKEN, "") for name in "ba"]
    with InstanceSpool(tmp_path) as spool:
        ended = EndedPrompts.of([*unlike[:30], *rejections, *unlike[30:]], spool, 0.7)
    below = sorted((one.sureness, one.prompt_id) for one in unlike if one.sureness < 0.7)
    assert list(ended.unsure.items()) == [(name, sureness) for sureness, name in below]
    assert ended.instances == 60
    assert [one.prompt_id for one in ended.rejections] == ["a", "b"]
