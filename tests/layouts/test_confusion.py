"""The matrix as a tree: cells, heads and the heat map lead to the rows behind them."""

from dashboard.reports.confusion import MatrixReport, Side
from dashboard.reports.performance import PerformanceQuery
from layouts import confusion

HOSTILE = "<script>alert('1')</script>"
QUERY = PerformanceQuery(run="r1")


def classes(*labels, cells=((0, 0, 40), (0, 1, 10), (1, 1, 50))):
    """Labels against predictions."""
    sides = [Side(n, p, labels, ("",) * len(labels)) for n, p in (("label", "label"), ("prediction", "predicted"))]
    return MatrixReport(sides[0], sides[1], cells, ("label", "prediction", "region"), True)


def regions():
    """A column against the label."""
    down = Side("region", "", ("north", "(other)"), ("region = 'north'", ""))
    return MatrixReport(down, Side("label", "label", ("a",), ("",)), ((0, 0, 3), (1, 0, 4)), ("label", "region"), False)


def links(tree):
    """All links."""
    return [part for part in tree._traverse() if getattr(part, "href", None)]


def drawn(report, query=QUERY):
    """The matrix."""
    return confusion.render(report, "/performance", query, "x")


def test_cells_and_heads_are_links_to_their_rows():
    found = {link.title: link for link in links(drawn(classes("cat", HOSTILE)))}
    cell = next(link for title, link in found.items() if title.startswith("10 rows labelled cat"))
    assert cell.href == "/performance?run=r1&label=cat&predicted=%3Cscript%3Ealert%28%271%27%29%3C%2Fscript%3E"
    assert "20.0% of the label" in cell.title
    assert found["label cat: 50 rows"].href == "/performance?run=r1&label=cat"
    assert found["prediction cat: 40 rows"].href == "/performance?run=r1&predicted=cat"


def test_a_cell_says_what_it_takes_back_because_the_matrix_is_not_drawn_again_for_it():
    found = {link.title: getattr(link, "data-clear") for link in links(drawn(classes("cat", "dog")))}
    assert found["label cat: 50 rows"] == "predicted open offset"
    assert {cleared for title, cleared in found.items() if "labelled" in title} == {"open offset"}


def test_a_column_is_filtered_and_its_rows_are_opened():
    hrefs = [link.href for link in links(drawn(regions(), PerformanceQuery(run="r1", filter="age > 3")))]
    both = "filter=%28age+%3E+3%29+AND+region+%3D+%27north%27"
    assert f"/performance?run=r1&{both}&open=all" in hrefs
    assert f"/performance?run=r1&{both}&label=a&open=all" in hrefs
    # a group that no filter can say has no link of its own, and its cell selects the label only
    assert "/performance?run=r1&filter=age+%3E+3&label=a" in hrefs


def test_a_condition_is_not_added_twice():
    assert confusion.narrowed("", ["a = 1", "b = 2"]) == "a = 1 AND b = 2"
    assert confusion.narrowed("a = 1 OR c", ["b = 2"]) == "(a = 1 OR c) AND b = 2"
    assert confusion.narrowed("a = 1", ["a = 1"]) == "a = 1"


def test_shares_and_a_dimmed_diagonal():
    query = PerformanceQuery(run="r1", shares="column", dim="1")
    cells = [part for part in drawn(classes("cat", "dog"), query)._traverse() if getattr(part, "style", None)]
    texts = [cell.children.children for cell in cells]
    assert texts == ["100.0%", "16.7%", "0", "83.3%"]
    assert [cell.style["--heat"] for cell in cells] == ["0", "1.00", "0", "0"]
    assert "dimmed" in cells[0].className


def test_many_classes_become_a_heat_map_on_category_axes_with_a_table():
    tree = drawn(classes(*map(str, range(200)), cells=((0, 1, 5), (3, 3, 900))))
    figure = next(part.figure for part in tree._traverse() if hasattr(part, "figure"))
    assert figure["layout"]["xaxis"]["type"] == figure["layout"]["yaxis"]["type"] == "category"
    assert figure["data"][0]["customdata"][0][1] == 5
    assert 0 < figure["data"][0]["z"][0][1] < figure["data"][0]["z"][3][3] < 3
    assert figure["layout"]["meta"] == {"y": {"parameter": "label"}, "x": {"parameter": "predicted"}}
    assert [link.children for link in links(tree)] == ["0 → 1"]


def test_the_card_offers_axes_and_says_why_it_shows_others():
    report = regions()
    tree = confusion.card(report, "/performance", PerformanceQuery(run="r1", down="region"), "x", 6)
    hrefs = [link.href for link in links(tree)]
    assert "/performance?run=r1&down=region&across=region" in hrefs
    assert "/performance?run=r1&down=region&arrange=blocks" in hrefs
    assert not any("dim=" in href for href in hrefs)
