import pytest

from mnist_core.system.threads import map_in_threads


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 64, 1000])
def test_results_come_in_the_order_of_items_and_progress_ends_at_one(threads, count):
    shares = []
    assert map_in_threads(lambda n: n * n, range(count), threads, shares.append) == [n * n for n in range(count)]
    assert shares == sorted(shares)
    assert shares[-1:] == ([1.0] if count else [])


def test_the_first_error_in_order_is_raised():
    def check(number):
        if number % 100 == 99:
            raise ValueError(str(number))

    with pytest.raises(ValueError, match=r"^99$"):
        map_in_threads(check, range(1000), 4)
