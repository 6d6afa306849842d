"""Writes churn.csv: customers of a telephone company that does not exist, and whether they left.

Everything is made up by the seeded generator below; no row describes a person. The table has what tables in offices
have: an identifier, words, dates, yes and no, gaps, and a target that the other columns explain only in part.

python examples/make_churn.py
"""

import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

ROWS, SEED = 1200, 7
HEADER = (
    "customer_id", "signup_date", "region", "plan", "contract", "payment", "age", "monthly_charge", "data_gb",
    "support_calls", "paperless", "last_survey", "churned",
)  # fmt: skip
PLANS = {"basic": 18.0, "family": 42.0, "unlimited": 55.0, "student": 12.0}
CONTRACTS = {"monthly": 1.1, "one year": -0.3, "two years": -1.2}
PAYMENTS = {"card": 0.0, "direct debit": -0.3, "invoice": 0.5}
REGIONS = ("north", "south", "east", "west", "islands")


def main() -> None:
    """Write the file beside this script."""
    chance = random.Random(SEED)  # noqa: S311 - made-up data needs no secrets
    with (Path(__file__).parent / "churn.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(_customer(number, chance) for number in range(ROWS))


def _customer(number: int, chance: random.Random) -> list[str]:
    signup = date(2019, 1, 1) + timedelta(days=int(2000 * chance.random() ** 1.3))
    region, plan = chance.choice(REGIONS), chance.choices(list(PLANS), weights=(4, 3, 3, 2))[0]
    contract = chance.choices(list(CONTRACTS), weights=(5, 3, 2))[0]
    payment = chance.choice(list(PAYMENTS))
    age = min(90, max(16, round(chance.gauss(22 if plan == "student" else 46, 6 if plan == "student" else 14))))
    charge = PLANS[plan] * chance.uniform(0.85, 1.35)
    data_gb = chance.gammavariate(2.0, 4.0 if plan == "unlimited" else 1.8)
    calls = min(9, int(chance.expovariate(0.7)))
    paperless, survey = chance.random() < 0.6, chance.choice(("happy", "neutral", "unhappy", ""))
    tenure_years = (date(2024, 12, 31) - signup).days / 365.25
    mood = {"happy": -0.8, "neutral": 0.0, "unhappy": 1.0, "": 0.3}[survey]
    logit = -1.0 + CONTRACTS[contract] + PAYMENTS[payment] + mood + 0.45 * (calls - 1.4) - 0.25 * (tenure_years - 3.5)
    # A dear plan that is hardly used drives people away: neither number says so alone.
    logit += 1.3 * (charge > 40 and data_gb < 4)
    churned = chance.random() < 1 / (1 + math.exp(-logit))
    return [
        f"C-{100_000 + 7 * number}",
        signup.isoformat(),
        region,
        plan,
        contract,
        payment,
        "" if chance.random() < 0.05 else str(age),
        f"{charge:.2f}",
        "" if chance.random() < 0.08 else f"{data_gb:.1f}",
        str(calls),
        "true" if paperless else "false",
        survey,
        "yes" if churned else "no",
    ]


if __name__ == "__main__":
    main()
