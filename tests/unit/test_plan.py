"""The order of tiers for one recording."""

from contracts.audio import AudioFacts
from contracts.tiers import Capabilities, PlannedTier, TierOffer, after_failure, plan

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


FAST = PlannedTier(name="azure-fast", provider="azure")
OTHER = PlannedTier(name="azure-fast-other-region", provider="azure")
CONVERTED = PlannedTier(name="azure-fast-converted", provider="azure", convert=True)
LOCAL = PlannedTier(name="local", provider="pocketsphinx", convert=True)


def test_a_refused_format_goes_to_the_tier_that_converts() -> None:
    left = after_failure("format_not_taken", FAST, (OTHER, CONVERTED, LOCAL))
    assert left == (CONVERTED, LOCAL)


def test_a_refused_format_is_converted_for_the_same_tier_where_none_is_for_that() -> None:
    left = after_failure("format_not_taken", FAST, (LOCAL,))
    assert left == (FAST.model_copy(update={"convert": True}), LOCAL)


def test_a_format_refused_even_converted_goes_to_the_next_tier() -> None:
    assert after_failure("format_not_taken", CONVERTED, (LOCAL,)) == (LOCAL,)


def test_too_long_for_a_provider_is_too_long_for_its_other_tiers() -> None:
    assert after_failure("too_long_for_provider", FAST, (OTHER, CONVERTED, LOCAL)) == (LOCAL,)


def test_every_other_failure_goes_to_the_next_tier() -> None:
    for code in ("provider_busy", "provider_out", "provider_broken", "worker_lost", "no_speech"):
        assert after_failure(code, FAST, (OTHER, LOCAL)) == (OTHER, LOCAL)


BATCH = TierOffer(name="azure-batch", provider="azure", batch=True)
FAST_OFFER = TierOffer(
    name="azure-fast", provider="azure", capabilities=Capabilities(max_seconds=7000)
)
FLOOR = TierOffer(name="local", provider="pocketsphinx")


def names(seconds: float, *languages: str) -> list[str]:
    facts = FACTS.model_copy(update={"seconds": seconds})
    return [tier.name for tier in plan(facts, languages, (FAST_OFFER, BATCH, FLOOR))]


def test_batch_stands_behind_fast_for_ordinary_recordings() -> None:
    assert names(600) == ["azure-fast", "azure-batch", "local"]


def test_long_recordings_and_swiss_and_austrian_german_go_to_batch_directly() -> None:
    assert names(6901) == ["azure-batch", "local"]
    assert names(600, "de-CH") == ["azure-batch", "local"]


def test_too_long_for_fast_is_for_batch_and_not_for_chunks() -> None:
    assert after_failure(
        "too_long_for_provider", FAST, (OTHER, PlannedTier(name="b", provider="azure", batch=True))
    ) == (PlannedTier(name="b", provider="azure", batch=True),)


def test_a_refused_format_is_refused_by_batch_too_which_then_gets_the_converted_file() -> None:
    batch = PlannedTier(name="b", provider="azure", batch=True)
    left = after_failure("format_not_taken", FAST, (OTHER, CONVERTED, batch, LOCAL))
    assert left == (CONVERTED, batch.model_copy(update={"convert": True}), LOCAL)
