"""The order of tiers for one recording."""

from contracts.audio import AudioFacts
from contracts.tiers import Capabilities, PlannedTier, TierOffer, plan

FACTS = AudioFacts(
    container="mov", codec="aac", seconds=3600, sample_rate=44_100, channels=1, size=20_000_000
)


def only(capabilities: Capabilities, **changes: float) -> PlannedTier:
    offer = TierOffer(name="t", provider="p", capabilities=capabilities)
    (tier,) = plan(FACTS.model_copy(update=changes), (), (offer,))
    return tier


def test_what_a_provider_takes_goes_as_it_is() -> None:
    tier = only(Capabilities(containers=frozenset({"mov"}), max_bytes=25_000_000))
    assert (tier.convert, tier.chunk_seconds) == (False, 0)


def test_another_format_is_converted_and_goes_whole_where_it_fits() -> None:
    tier = only(Capabilities(containers=frozenset({"wav"})))
    assert (tier.convert, tier.chunk_seconds) == (True, 0)


def test_a_file_too_large_goes_converted_when_that_is_smaller() -> None:
    tier = only(Capabilities(max_bytes=25_000_000), seconds=60, size=50_000_000)
    assert (tier.convert, tier.chunk_seconds) == (True, 0)


def test_what_is_too_large_even_converted_goes_in_chunks_below_the_limit() -> None:
    tier = only(Capabilities(containers=frozenset({"wav"}), max_bytes=32_000 * 100))
    assert tier.convert
    assert tier.chunk_seconds == 95


def test_what_is_too_long_goes_in_chunks_below_the_limit() -> None:
    assert only(Capabilities(max_seconds=1000)).chunk_seconds == 950


def test_the_order_is_the_configured_one_without_those_that_do_not_know_the_language() -> None:
    english = Capabilities(languages=frozenset({"en"}))
    offers = (
        TierOffer(name="a", provider="p", capabilities=english),
        TierOffer(name="b", provider="p"),
    )
    assert [tier.name for tier in plan(FACTS, (), offers)] == ["a", "b"]
    assert [tier.name for tier in plan(FACTS, ("de-DE",), offers)] == ["b"]
    assert [tier.name for tier in plan(FACTS, ("de-DE",), offers[:1])] == ["a"]
