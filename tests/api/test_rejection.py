"""Verification of drafts by rejection (Leviathan et al., 2023), asked for over HTTP.

The words may differ from those without drafts, the distribution may not.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import local_client
from tests.api.tiny_service import HELLO, tiny_service

CHAT = "/v1/chat/completions"
NUM_SEEDS = 120
DRAFT = "aaaaaa"  # characters that are drawn now and then, among three


@pytest.fixture
def http(tmp_path: Path) -> Iterator[TestClient]:
    with tiny_service(tmp_path / "state") as service, local_client(service) as client:
        yield client


def answered(http: TestClient, seed: int, verify: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        **HELLO,
        "max_tokens": 3,
        "seed": seed,
        "temperature": 1.0,
        "logit_bias": {str(token): 20.0 for token in (64, 65, 66)},
        "causerie": {"speculation": {"drafter": "off"}},
    }
    if verify is not None:
        body["prediction"] = {"type": "content", "content": DRAFT}
        body["causerie"] = {"speculation": {"drafter": "prediction", "verify": verify}}
    response = http.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    message: dict[str, Any] = response.json()["choices"][0]["message"]
    return message


@pytest.mark.slow
def test_rejection_keeps_the_distribution_though_not_the_words(http: TestClient) -> None:
    texts = {
        verify: [answered(http, seed, verify) for seed in range(NUM_SEEDS)]
        for verify in (None, "exact", "rejection")
    }
    said = {verify: [m["content"] for m in messages] for verify, messages in texts.items()}
    assert said["exact"] == said[None]
    assert said["rejection"] != said[None], "the coins are other ones than the draws'"
    told = [m["causerie"] for m in texts["rejection"]]
    drafted = sum(account.get("drafted_tokens", 0) for account in told)
    accepted = sum(account.get("accepted_tokens") or 0 for account in told)
    assert 0 < accepted < drafted
    # Homogeneity of the 2 x k table of texts: chi-squared of k - 1 degrees, here at 4 sigma.
    plain, coined = Counter(said[None]), Counter(said["rejection"])
    seen = plain.keys() | coined.keys()
    chi = sum((plain[t] - coined[t]) ** 2 / (plain[t] + coined[t]) for t in seen)
    assert chi < (len(seen) - 1) + 4 * (2 * (len(seen) - 1)) ** 0.5
    assert len(seen) > 10


def test_rejection_beside_what_it_excludes_is_refused_by_name(http: TestClient) -> None:
    own = {"speculation": {"verify": "rejection"}, "mirostat": {"tau": 3.0}}
    response = http.post(CHAT, json={**HELLO, "temperature": 1.0, "causerie": own})
    assert response.status_code == 400
    assert "speculation.verify rejection" in response.json()["error"]["message"]
