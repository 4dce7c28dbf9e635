"""The texts of the products `gemm_*` and `segmented_*`, which a team of warps makes together.

    C[i*c_row + j] = sum over p < k of A[i*a_row + p*a_col] * B[p*b_row + j*b_col]       gemm
    C[i*c_row + j] = sum over s < segments, p < k of
                     A[a_rows[i] + a_depth[s] + p*a_col] * B[b_depth[s] + p*b_row + j]   segmented

They take the words of the processor's routines (`runtime/cpu/gemm`), and `warp` and `warps` behind.
Any sizes and strides; C is overwritten, with zeros where there is no depth.

    for each piece of the result, of down x across warps:
        for each stage of the depth, of STEPS steps for each of the warps behind one another:
            the team copies the next stage of A and B into its memory
            every warp multiplies its part of this stage: 32 rows, and a tile for each lane

How the warps stand, and what they need of memory, `runtime/teams.py` says.  The depth is cut into
groups of STEPS steps, each within one segment.  Stages lie in memory step by step, so that lanes
read neighbouring elements; there are two, one that is read and one that is written.

Every element is the sum, in order, of chains of fused multiply-adds over at most GEMM_DEPTH steps;
where warps stand behind one another, the chains of each are added in their order.  These sums are
added up in C.  Of more than GEMM_LONG steps, what is rounded away there is kept, by Knuth's
TwoSum (The Art of Computer Programming, volume 2, 4.2.2), and added at the end.
"""

from __future__ import annotations

from ...program import GEMM_DEPTH, GEMM_LONG
from ...teams import MOST_ACROSS, MOST_DOWN, PADDING, STEPS, WARP_ROWS, warp_columns

LANES = 32
"""Of a warp."""

_ACROSS = 8
"""Lanes of a warp that stand beside one another; the others stand below."""

_DOWN = LANES // _ACROSS

ITEM = {"f32": 4, "f64": 8}

CHAIN = GEMM_DEPTH // STEPS
"""Stages of STEPS steps whose products are one chain."""


def gemm_text(kind: str) -> str:
    """The routine for `kind`, "f32" or "f64", as text of the kernel language."""
    words = (
        "a", "a_row", "a_col", "b", "b_row", "b_col", "c", "c_row", "m", "n", "k", "space", "tag",
    )  # fmt: skip
    return _text(f"gemm_{kind}", kind, words, segmented=False)


def segmented_text(kind: str) -> str:
    """The routine for `kind`, "f32" or "f64", as text of the kernel language."""
    words = (
        "a", "a_rows", "a_depth", "a_col", "b", "b_depth", "b_row", "c", "c_row", "m", "n", "k",
        "segments", "space",
    )  # fmt: skip
    return _text(f"segmented_{kind}", kind, words, segmented=True)


def _text(name: str, kind: str, words: tuple[str, ...], segmented: bool) -> str:
    item, columns = ITEM[kind], warp_columns(ITEM[kind])
    high, wide = WARP_ROWS // _DOWN, columns // _ACROSS  # the tile of a lane
    body = [
        *_stand(columns),
        *_depth(segmented),
        *_memory(kind, item, columns),
        *_lanes(segmented),
        f"p_c = {kind}_at(c)",
        "meet(space, warps)",  # what lies in C, and in the stages' memory, has been read
        "for piece_row in range(0, (m + high - 1) // high):",
        "    top = piece_row * high",
        "    for piece_column in range(0, (n + wide - 1) // wide):",
        *_inside(_inside(_piece(kind, segmented, high, wide, columns))),
        "meet(space, warps)",
    ]
    return (
        f"def {name}({', '.join((*words, 'warp', 'warps'))}):\n" + "\n".join(_inside(body)) + "\n"
    )


def _inside(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def _stand(columns: int) -> list[str]:
    """How the warps stand over a piece, as `teams.stand` says, and where this one does."""
    lines = ["down = 1", "across = 1"]
    for name, most, other, size, extent in (
        ("down", MOST_DOWN, "1", WARP_ROWS, "m"),
        ("across", MOST_ACROSS, "down", columns, "n"),
    ):
        now = 1
        while now < most:
            # One more step, where the one before it was made.
            lines.append(f"if {name} == {now}:")
            lines.append(f"    if {other} * {now} < warps:")
            lines.append(f"        if {now * size} < {extent}:")
            lines.append(f"            {name} = {2 * now}")
            now *= 2
    return [
        *lines,
        "deep = warps // (down * across)",
        "behind = warp // (down * across)",
        "below = warp % (down * across) // across",
        "beside = warp % across",
        f"high = down * {WARP_ROWS}",
        f"wide = across * {columns}",
    ]


def _depth(segmented: bool) -> list[str]:
    """The depth in groups of STEPS steps, and these in stages."""
    lines = [f"parts = (k + {STEPS - 1}) // {STEPS}"]
    lines.append("groups = parts * segments" if segmented else "groups = parts")
    return [
        *lines,
        "stages = (groups + deep - 1) // deep",
        f"together = {CHAIN}",  # stages of a chain
        *(_short() if segmented else []),
        "chains = (stages + together - 1) // together",
        "if chains < 1:",
        "    chains = 1",  # C is zeros where there is no depth
        "long = k * segments" if segmented else "long = k",
    ]


def _short() -> list[str]:
    """Segments of fewer than STEPS steps: more of them are a chain."""
    return ["if k > 0:", f"    if k < {STEPS}:", f"        together = {GEMM_DEPTH} // k"]


def _memory(kind: str, item: int, columns: int) -> list[str]:
    """Where stages lie: those of A, then those of B, two of each; then what is rounded away."""
    sums = WARP_ROWS // 2 * columns * item
    sides = WARP_ROWS + columns + 2 * PADDING
    return [
        f"a_step = high + {PADDING}",
        f"b_step = wide + {PADDING}",
        f"a_stage = deep * {STEPS} * a_step",
        f"b_stage = deep * {STEPS} * b_step",
        f"p_a = {kind}_at(a)",
        f"p_b = {kind}_at(b)",
        f"q_a = {kind}_in(space, 0)",
        f"q_b = {kind}_in(space, 2 * a_stage * {item})",
        f"room = warps * {2 * STEPS * sides * item}",
        f"if room < warps * {sums}:",
        f"    room = warps * {sums}",
        f"p_lost = {kind}_in(space, (room + 63) // 64 * 64)",
    ]


def _lanes(segmented: bool) -> list[str]:
    """Which element of a unit of a stage a lane copies: along the depth, or along the other side.

    A unit is STEPS steps of a few rows, or one step of as many rows as there are lanes.
    """
    lines = [
        f"lane_down = lane() >> i64({_ACROSS.bit_length() - 1})",
        f"lane_across = lane() & i64({_ACROSS - 1})",
        "zero = i64(0)",
    ]
    for side, along in (("a", "a_col"), ("b", "" if segmented else "b_row")):
        lines += [f"{side}_turned = 0", f"{side}_other = lane()", f"{side}_steps = zero"]
        if along:
            lines += [
                f"if {along} == 1:",
                f"    {side}_turned = 1",
                f"    {side}_other = lane_down",
                f"    {side}_steps = lane_across",
            ]
    return lines


def _copies(side: str, segmented: bool) -> list[str]:
    """Copy a stage of one operand, its units dealt among the warps; zeros lie beyond its edges.

    A layer is what the warps that stand equally far behind multiply: steps of one segment.
    """
    extent, first, size = ("m", "top", "high") if side == "a" else ("n", "left", "wide")
    along, step = ("a_col", "a_step") if side == "a" else ("b_row", "b_step")
    within = f"load_splat(i64_at({side}_depth), segment)" if segmented else "zero"
    beside = {
        ("a", False): "other * i64(a_row)",
        ("b", False): "other * i64(b_col)",
        ("a", True): "gather(i64_at(a_rows), other, other < i64(m))",
        ("b", True): "other",
    }[side, segmented]
    return [
        f"units = {size} // {LANES // STEPS}",
        "for layer in range(0, deep):",
        "    group = copied * deep + layer",
        "    segment = 0",
        "    part = group",
        *(["    if group < groups:", "        segment = group // parts",
           "        part = group % parts"] if segmented else []),
        f"    left_steps = k - part * {STEPS}",
        "    if group >= groups:",
        "        left_steps = 0",
        "    for place in range(warp, units, warps):",
        f"        other_first = place // {STEPS} * {LANES}",
        f"        step_first = place % {STEPS}",
        f"        if {side}_turned == 1:",
        f"            other_first = place * {LANES // STEPS}",
        "            step_first = 0",
        f"        steps = i64(step_first) + {side}_steps",
        f"        other = i64({first} + other_first) + {side}_other",
        f"        some = (steps < i64(left_steps)) & (other < i64({extent}))",
        f"        source = {beside} + {within} + (i64(part * {STEPS}) + steps) * i64({along})",
        f"        v = load_spread(p_{side}, 0, source, some)",
        f"        begin = copied % 2 * {side}_stage + layer * {STEPS} * {step} + other_first",
        f"        store_spread(q_{side}, begin, steps * i64({step}) + {side}_other, v)",
    ]  # fmt: skip


def _piece(kind: str, segmented: bool, high: int, wide: int, columns: int) -> list[str]:
    """One piece of the result: the chains of the depth, each added to what C has by then."""
    tile = [(i, j) for i in range(high) for j in range(wide)]
    return [
        "left = piece_column * wide",
        f"columns_left = n - left - beside * {columns}",
        "for chain in range(0, chains):",
        "    first = chain * together",
        "    last = first + together",
        "    if last > stages:",
        "        last = stages",
        *(f"    x{i}_{j} = {kind}(0)" for i, j in tile),
        "    for stage in range(first - 1, last):",
        "        copied = stage + 1",
        "        if copied < last:",
        *_inside(_inside(_inside(_copies("a", segmented) + _copies("b", segmented)))),
        "        if stage >= first:",
        *_inside(_inside(_inside(_multiply(high, wide, columns)))),
        "        meet(space, warps)",
        *_inside(_add(kind, high, wide, columns)),
    ]


def _multiply(high: int, wide: int, columns: int) -> list[str]:
    """The warp's part of a stage, a step after the other: the outer product of a lane's tile."""
    return [
        f"from_a = stage % 2 * a_stage + behind * {STEPS} * a_step + below * {WARP_ROWS}",
        f"from_b = stage % 2 * b_stage + behind * {STEPS} * b_step + beside * {columns}",
        f"for step in range(0, {STEPS}):",
        *(f"    u{i} = load_spread(q_a, from_a + step * a_step + {i * _DOWN}, lane_down)"
          for i in range(high)),
        *(f"    w{j} = load_spread(q_b, from_b + step * b_step + {j * _ACROSS}, lane_across)"
          for j in range(wide)),
        *(f"    x{i}_{j} = fma(u{i}, w{j}, x{i}_{j})" for i in range(high) for j in range(wide)),
    ]  # fmt: skip


def _add(kind: str, high: int, wide: int, columns: int) -> list[str]:
    """A chain's sums to C, through the stages' memory: half of the rows of all tiles at a time.

    There the first of the warps behind one another adds up what all have, a row of lanes at a time.
    """
    size = WARP_ROWS // 2 * columns
    lines = [f"spot = lane_down * i64({columns}) + lane_across", f"own = warp * {size}"]
    for half in (0, 1):
        rows = range(half * high // 2, (half + 1) * high // 2)
        for i in rows:
            place = (i - rows.start) * _DOWN * columns
            lines += [
                f"store_spread(q_a, own + {place + j * _ACROSS}, spot, x{i}_{j})"
                for j in range(wide)
            ]
        lines += [
            "meet(space, warps)",
            "if behind == 0:",
            f"    first_row = top + below * {WARP_ROWS} + {half * WARP_ROWS // 2}",
            f"    for row in range(first_row, first_row + {WARP_ROWS // 2}):",
            "        if row < m:",
            f"            for j in range(0, {columns}, {LANES}):",
            *_inside(_inside(_inside(_inside(_add_row(kind, columns))))),
            "meet(space, warps)",
        ]
    return lines


def _add_row(kind: str, columns: int) -> list[str]:
    """Neighbouring elements of a row: what all warps have of them, to what C has."""
    size = WARP_ROWS // 2 * columns
    return [
        "some = lanes_below(columns_left - j)",
        f"from_sums = own + (row - first_row) * {columns} + j",
        "new = load(q_a, from_sums)",
        "for another in range(1, deep):",
        f"    new = new + load(q_a, from_sums + another * down * across * {size})",
        f"at = row * c_row + left + beside * {columns} + j",
        "if chain > 0:",
        "    old = load(p_c, at, some)",
        "    x = new",
        "    new = old + x",
        f"    if long > {GEMM_LONG}:",
        "        more = new - old",
        "        gone = (old - (new - more)) + (x - more)",
        f"        gone = select(gone == gone, gone, {kind}(0))",  # of infinities nothing is kept
        f"        lost_at = row * n + left + beside * {columns} + j",
        "        if chain > 1:",
        "            gone = gone + load(p_lost, lost_at, some)",
        "        if chain + 1 == chains:",
        "            new = new + gone",
        "        store(p_lost, lost_at, gone, some)",
        "store(p_c, at, new, some)",
    ]
