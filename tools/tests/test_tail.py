from tools import tail

SOURCE = """\
class A:
    def m(self, a, /, b, *args, c=1, **kwargs):
        return 1
"""


def test_sizes_are_lines_and_arguments_without_self() -> None:
    """A module, its class, its method and the method's arguments are measured."""
    sizes = {(x.kind, x.size) for x in tail.measure_source(SOURCE, "a.py")}
    assert sizes == {("module", 3), ("class", 3), ("function", 2), ("arguments", 3)}


def test_only_the_limits_fail() -> None:
    """A long class is reported, a very long function is refused."""
    long_class = tail.Measure("class", 9999, "a.py:1", "A")
    long_function = tail.Measure("function", 81, "a.py:2", "f")
    assert tail.above_limits([long_class, long_function]) == [long_function]
