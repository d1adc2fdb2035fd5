"""Files of a model from a Hugging Face hub, or from any server that speaks its paths.

Only weights and words are taken: safetensors, GGUF, JSON, text, tokenizer models. Pickles and
Python files are never asked for. All files come from the one commit that the revision named when
the download began.
"""

import hashlib
import json
import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from shutil import rmtree
from typing import Any

import huggingface_hub
import huggingface_hub.errors

from llm.errors import FetchError, UnknownModelError
from llm.model_catalog import HubSource, ModelCard, ModelFile, ModelKind
from llm.model_staging import require_space, sha256_of, sync_file, watched_size

ALLOWED_PATTERNS = (
    "*.json",
    "*.safetensors",
    "*.txt",
    "*.model",
    "*.gguf",
    "LICENSE",
    "LICENSE.md",
)
"""What is taken from a repository; `.bin`, `.pt` and `.py` can run code and are not."""

_LICENSES = {"LICENSE", "LICENSE.md", "LICENSE.txt"}
_OTHER_RUNTIMES = {"onnx", "openvino", "coreml", "flax", "tf"}
_HUB_ID = re.compile(
    r"(?:hf:)?(?P<owner>[A-Za-z0-9][\w.-]*)/(?P<name>[A-Za-z0-9][\w.-]*)"
    r"(?:/(?P<file>[\w./-]+\.gguf))?(?:@(?P<revision>[\w./-]+))?"
)


def parse_hub_id(source: str) -> HubSource | None:
    """Read `owner/name`, with `hf:` before and `@revision` after it where given; None if it is not.

    `owner/name/FILE.gguf` picks one of several GGUF files.
    """
    match = _HUB_ID.fullmatch(source)
    if match is None or ".." in source:
        return None
    return HubSource(
        repo_id=f"{match['owner']}/{match['name']}",
        revision=match["revision"] or "main",
        file=match["file"] or "",
    )


def fetch_hub_files(
    source: HubSource,
    folder: Path,
    on_bytes: Callable[[int, int], None],
    *,
    endpoint: str | None,
) -> ModelCard:
    """Fill `folder` with the files of one commit, each checked, and return their card.

    `on_bytes` gets the bytes done and the bytes in all.

    Raises:
        UnknownModelError: There is no such repository, revision or usable file.
        FetchError: The hub could not be reached, or gave other bytes than it announced.
    """
    api = huggingface_hub.HfApi(endpoint=endpoint)
    info = _repository_info(api, source)
    siblings = _choose(source, [s for s in info.siblings or [] if _is_wanted(s.rfilename)])
    total = sum(sibling.size or 0 for sibling in siblings)
    require_space(folder, total)
    with watched_size(folder, lambda done: on_bytes(min(done, total), total)):
        for sibling in siblings:
            _download(api, source, info.sha, sibling.rfilename, folder)
    rmtree(folder / ".cache", ignore_errors=True)  # the hub client's own notes
    files = tuple(_checked(source, folder, sibling) for sibling in siblings)
    gguf = [file.name for file in files if file.name.endswith(".gguf")]
    has_weights = any(file.name.endswith(".safetensors") for file in files)
    return ModelCard(
        name=str(source),
        kind=_kind_of(folder),
        description=f"{source.repo_id} at {str(info.sha)[:12]}",
        license=_license_of(info),
        source=source,
        files=files,
        entry="" if has_weights else gguf[0],
    )


def _repository_info(api: Any, source: HubSource) -> Any:
    try:
        return api.model_info(source.repo_id, revision=source.revision, files_metadata=True)
    except huggingface_hub.errors.GatedRepoError as error:
        raise UnknownModelError(
            f"{source} is gated: accept its terms on the hub and set HF_TOKEN"
        ) from error
    except huggingface_hub.errors.RepositoryNotFoundError as error:
        raise UnknownModelError(
            f"the hub knows no repository {source.repo_id!r}; check the spelling, or set HF_TOKEN"
            " if it is private"
        ) from error
    except huggingface_hub.errors.RevisionNotFoundError as error:
        raise UnknownModelError(
            f"{source.repo_id} has no revision {source.revision!r}; leave out @{source.revision}"
            " for the newest"
        ) from error
    except Exception as error:  # the client's transport differs from release to release
        raise FetchError(_unreachable(source, error)) from error


def _download(api: Any, source: HubSource, commit: str, name: str, folder: Path) -> None:
    try:
        api.hf_hub_download(source.repo_id, name, revision=commit, local_dir=folder)
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's errors have a number, the hub's have none
        raise FetchError(_unreachable(source, error)) from error
    except Exception as error:
        raise FetchError(_unreachable(source, error)) from error


def _unreachable(source: HubSource, error: Exception) -> str:
    lines = str(error).strip().splitlines()
    reason = re.sub(r"https?://\S+", "(address)", lines[0] if lines else type(error).__name__)
    return (
        f"could not fetch {source} from the hub ({reason[:200].rstrip('. ')});"
        " check the network or HF_ENDPOINT"
    )


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        not path.is_absolute()
        and "\\" not in name
        and not any(part in {"", "..", ".cache"} for part in path.parts)
        and path.parts[0] not in _OTHER_RUNTIMES
        and any(fnmatch(path.name, pattern) for pattern in ALLOWED_PATTERNS)
    )


def _choose(source: HubSource, siblings: list[Any]) -> list[Any]:
    """Pick one GGUF, or the safetensors layout with its tokenizer; or say what is missing."""
    names = {sibling.rfilename for sibling in siblings}
    gguf = sorted(name for name in names if name.endswith(".gguf"))
    has_layout = {"config.json", "tokenizer.json"} <= names and any(
        name.endswith(".safetensors") for name in names
    )
    if source.file and source.file not in names:
        raise UnknownModelError(
            f"{source.repo_id} has no file {source.file!r}; it has {gguf or 'no GGUF'}"
        )
    if has_layout and not source.file:
        return [sibling for sibling in siblings if not sibling.rfilename.endswith(".gguf")]
    if not source.file and len(gguf) > 1:
        raise UnknownModelError(
            f"{source.repo_id} has {len(gguf)} GGUF files; name one, such as"
            f" hf:{source.repo_id}/{gguf[0]}"
        )
    if not gguf:
        raise UnknownModelError(
            f"{source.repo_id} has neither a GGUF file nor config.json, tokenizer.json and"
            " *.safetensors together; convert it to safetensors first"
        )
    wanted = source.file or gguf[0]
    return [s for s in siblings if s.rfilename == wanted or s.rfilename in _LICENSES]


def _checked(source: HubSource, folder: Path, sibling: Any) -> ModelFile:
    """Compare a file with the size and hash that the listing announced, and flush it."""
    path = folder / sibling.rfilename
    if not path.is_file():
        raise FetchError(f"{sibling.rfilename} of {source} did not arrive; try again")
    num_bytes = path.stat().st_size
    sha256 = sha256_of(path)
    if sibling.size is not None and num_bytes != sibling.size:
        raise FetchError(
            f"{sibling.rfilename} of {source} has {num_bytes:,} bytes, announced {sibling.size:,}"
        )
    if sibling.lfs is not None:
        announced, found = sibling.lfs.sha256, sha256
    else:
        announced, found = sibling.blob_id, _git_blob_id(path)
    if announced and announced != found:
        raise FetchError(
            f"{sibling.rfilename} of {source} has hash {found[:12]}…, announced {announced[:12]}…"
        )
    sync_file(path)
    return ModelFile(name=sibling.rfilename, num_bytes=num_bytes, sha256=sha256)


def _git_blob_id(path: Path) -> str:
    data = path.read_bytes()  # small by the hub's rule: what is large has a SHA-256
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _kind_of(folder: Path) -> ModelKind:
    config = folder / "config.json"
    if not config.is_file():
        return ModelKind.CHAT
    try:
        architectures = json.loads(config.read_text(encoding="utf-8")).get("architectures") or []
    except (ValueError, AttributeError) as error:
        raise FetchError(f"config.json of the repository is not a JSON object: {error}") from error
    is_decoder = any("CausalLM" in str(name) for name in architectures)
    return ModelKind.CHAT if is_decoder else ModelKind.EMBEDDING


def _license_of(info: Any) -> str:
    card = getattr(info, "card_data", None)
    return str(getattr(card, "license", None) or "see the repository")
