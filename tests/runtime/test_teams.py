"""How the warps of a team stand over a block, and what memory that takes."""

import pytest

from diagrad.runtime.program import GEMM_LONG
from diagrad.runtime.teams import STEPS, Stand, stand, team_space, warp_columns


@pytest.mark.parametrize(
    ("rows", "columns", "warps", "wanted"),
    [
        (1, 1, 1, Stand(1, 1, 1)),
        (128, 128, 1, Stand(1, 1, 1)),
        (128, 128, 8, Stand(4, 2, 1)),
        (64, 128, 8, Stand(2, 2, 2)),
        (64, 64, 8, Stand(2, 1, 4)),
        (33, 64, 8, Stand(2, 1, 4)),
        (32, 65, 8, Stand(1, 2, 4)),
        (32, 64, 8, Stand(1, 1, 8)),
        (1000, 1000, 16, Stand(4, 2, 2)),
    ],
)
def test_warps_stand_over_the_block_and_behind_one_another(
    rows: int, columns: int, warps: int, wanted: Stand
) -> None:
    assert stand(4, rows, columns, warps) == wanted


@pytest.mark.parametrize("item", [4, 8])
@pytest.mark.parametrize("warps", [1, 2, 4, 8, 16])
def test_no_smaller_block_needs_more_memory(item: int, warps: int) -> None:
    space = team_space(item, 128, 128, GEMM_LONG, warps)
    assert space % 64 == 0
    for rows in range(1, 300, 31):
        for columns in range(1, 300, 31):
            how = stand(item, rows, columns, warps)
            assert how.down * how.across * how.deep == warps
            assert 2 * how.stage(item) <= space
    one = stand(item, 1, 1, warps)
    assert one.deep == warps
    assert one.stage(item) == STEPS * warps * (32 + warp_columns(item) + 8) * item


def test_a_great_depth_needs_a_block_more() -> None:
    more = team_space(4, 60, 50, GEMM_LONG + 1, 8) - team_space(4, 60, 50, GEMM_LONG, 8)
    assert 60 * 50 * 4 <= more < 60 * 50 * 4 + 64
