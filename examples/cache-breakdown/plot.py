"""Draws what the workers and the database went through, without a lock on the left and with one on the right."""

import matplotlib

matplotlib.use("Agg")  # a file, and no window
from matplotlib import pyplot  # noqa: E402

from measures import most_at_once, quantile, running  # noqa: E402

COLORS = {"without a lock": "#c0392b", "with the lock": "#1f77b4"}


def draw(outcomes, options):
    figure, axes = pyplot.subplots(2, len(outcomes), sharex=True, sharey="row", figsize=(11, 6.5), squeeze=False)
    figure.suptitle(
        f"A cached report expires {options.ttl} s after it was made, and {options.workers} workers ask for it "
        f"{options.rate} times a second",
        fontsize=13,
    )
    for column, (name, outcome) in enumerate(outcomes.items()):
        color = COLORS[name]
        above, below = axes[0][column], axes[1][column]
        times, counts = zip(*running(outcome.queries))
        above.fill_between(times, counts, step="post", color=color, alpha=0.85, linewidth=0.8, edgecolor=color)
        most = most_at_once(outcome.queries)
        queries = f"{outcome.database_queries:,} queries, up to {most} at once"
        title = f"{name[0].upper()}{name[1:]}\n{queries}, {outcome.database_cpu:.1f} s of processor time"
        above.set_title(title, color=color, fontweight="bold", fontsize=10.5)

        due, took = zip(*outcome.responses)
        # What is shorter than the axis begins is drawn at its edge.
        below.scatter(due, [max(t * 1000, 0.1) for t in took], s=3, color=color, alpha=0.35, linewidths=0)
        slowest = quantile(outcome.responses, 0.99) * 1000
        below.axhline(slowest, color="black", linewidth=1, linestyle="--")
        below.annotate(
            f"99 of 100 responses take up to {slowest:,.0f} ms",
            (0.98, slowest), (0, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="bottom", fontsize=9,
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
        below.set_yscale("log")
        below.set_xlabel("seconds")
        for axis in (above, below):
            axis.grid(axis="y", alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_xlim(0, options.seconds)
            axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0][0].set_ylabel("queries that run\nin the database at once")
    axes[0][0].set_ylim(bottom=0)
    axes[1][0].set_ylabel("time to each response, in ms\n(each point is a request)")
    axes[1][0].yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    figure.tight_layout()
    figure.savefig(options.png, dpi=110)
