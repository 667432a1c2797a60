"""What a worker's calls of vendors cost, counted where its metrics are read."""

from typing import Final

from temporalio import activity

from contracts.costs import Bill

COUNTERS: Final = {
    "audio_milliseconds": "Audio sent to vendors.",
    "input_tokens": "Tokens vendors read, as they report them.",
    "output_tokens": "Tokens vendors wrote, as they report them.",
    "characters": "Text sent to language models.",
}


def count(tier: str, provider: str, bill: Bill) -> None:
    """Count a call that is over; outside of an activity nobody reads it."""
    if not activity.in_activity():
        return
    meter = activity.metric_meter()
    by = {"tier": tier, "provider": provider}
    meter.create_counter("voicekeep_vendor_calls", "Calls of vendors that ended.").add(1, by)
    for name, meaning in COUNTERS.items():
        if value := getattr(bill.units, name):
            meter.create_counter(f"voicekeep_vendor_{name}", meaning).add(value, by)
    if bill.micros is None:
        unknown = "Calls whose cost is not known."
        meter.create_counter("voicekeep_vendor_unpriced_calls", unknown).add(1, by)
    elif bill.micros:
        meaning = "Estimated cost in millionths of the currency."
        meter.create_counter("voicekeep_vendor_cost_micros", meaning).add(bill.micros, by)
