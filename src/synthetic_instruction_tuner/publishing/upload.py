"""Uploads staged repositories to the Hugging Face Hub, each in one commit, and collects them.

Large files go first, one by one, then one commit names all of them: until then a repository is as it was. Whatever ends
a push early, the same push goes on: files that are there are not sent again. The token is huggingface_hub's own matter.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.publishing.answers import explained, no_token
from synthetic_instruction_tuner.publishing.comparison import MARK, Changes, Remote, RemoteFile, changes
from synthetic_instruction_tuner.publishing.repository import Digest, Repository, digest

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CONNECT, READ = 20.0, 600.0  # seconds until the network counts as gone
_FIRST_COMMIT = "initial commit"  # the Hub's own, in which a Space has a template
_TEMPLATE = 8  # files that one has at most
_LONGEST_TITLE = 59  # characters that the Hub allows a collection's title
Progress = Callable[[int, str], None]
"""Is told how many bytes more are there, and of which file."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What a push did to a repository.

    Attributes:
        repository: which one.
        address: of its page.
        added, deleted: the files that changed; none where all was there already.
        size: bytes of the files that were added.
    """

    repository: Repository
    address: str
    added: Sequence[str]
    deleted: Sequence[str]
    size: int


class Uploads:
    """A connection to the Hub for one push.

    Attributes:
        endpoint: the Hub's address.
        user: who the token belongs to.
        organizations: where that user is a member.
    """

    def __init__(self, api: HfApi, user: str, organizations: Sequence[str]) -> None:
        self._api, self.endpoint = api, str(api.endpoint)
        self.user, self.organizations = user, tuple(organizations)

    def require_owner(self, owner: str) -> str:
        """Returns an owner's name as the Hub writes it; stops where the user may not push to it.

        Raises:
            UserError: with the names that are possible.
        """
        own = [self.user, *self.organizations]
        found = {name.casefold(): name for name in own}.get(owner.casefold())
        if found is None:
            fix = f"Write --to {self.user}, --to {self.user}/{owner}, or use the token of a member."
            raise UserError(f"You cannot push to {owner}.", f"The token is of {', '.join(own)}.", fix)
        return found

    def compared(self, repository: Repository, run: str, public: bool, force: bool) -> Comparison:
        """Compares what is staged with what the Hub has; nothing is changed.

        Args:
            repository: what is staged.
            run: the run's own id.
            public: whether everybody may see it.
            force: whether other content may be replaced.

        Raises:
            SitError: the repository holds something else, or is public; or the Hub cannot be asked.
        """
        files = {name: digest(path) for name, path in repository.files().items()}
        with explained(repository.id):
            remote = self._remote(repository)
        if remote and not remote.private and not public:
            cause = "What is pushed is private unless you say otherwise."
            fix = f"Add --public, or make it private on its page: {repository.address(self.endpoint)}/settings"
            raise UserError(f"The {repository.kind} {repository.id} is public.", cause, fix)
        return Comparison(repository, run, files, remote, changes(repository, files, remote, run, force))

    def upload(self, wanted: Comparison, message: str, public: bool, progress: Progress) -> Uploaded:
        """Makes the repository what is staged; nothing is sent that it has.

        Args:
            wanted: what `compared` returned.
            message: of the commit.
            public: whether everybody may see it.
            progress: is told what is there.

        Raises:
            SitError: the Hub, or the network, refuses.
        """
        repository, plan, remote = wanted.repository, wanted.changes, wanted.remote
        with explained(repository.id):
            if remote is None:
                remote = self._created(repository, public)
                plan = changes(repository, wanted.files, remote, wanted.run)
            if not plan.none:
                self._commit(repository, plan, remote.head, message, progress)
            if public and remote.private:
                self._api.update_repo_settings(repository.id, private=False, repo_type=repository.kind)
        return Uploaded(repository, repository.address(self.endpoint), plan.add, plan.delete, wanted.size)

    def collect(self, owner: str, title: str, text: str, repositories: Sequence[Repository], public: bool) -> str:
        """Puts repositories into the collection of this title and text, made where it is missing; returns its address.

        One with another text is somebody's own: it never becomes public.

        Raises:
            SitError: the Hub, or the network, refuses.
        """
        title = title[:_LONGEST_TITLE]
        with explained(f"the collection {title}"):
            every = self._api.list_collections(owner=owner, limit=100)
            known = (one for one in every if (one.title, one.description) == (title, text))
            found = next(known, None) or self._api.create_collection(
                title, namespace=owner, description=text, private=not public, exists_ok=True
            )
            held = {(item.item_type, item.item_id) for item in self._api.get_collection(found.slug).items}
            for one in repositories:
                if (one.kind, one.id) not in held:
                    self._api.add_collection_item(found.slug, one.id, one.kind, exists_ok=True)
            if public and found.private and found.description == text:
                self._api.update_collection_metadata(found.slug, private=False)
        return f"{self.endpoint}/collections/{found.slug}"

    def gated(self, model: str) -> bool:
        """Returns whether the Hub gives a model only to those who accept its license; no where it cannot be asked."""
        try:
            return bool(self._api.model_info(model, expand=["gated"]).gated)
        except Exception:  # a base model that is gone, or that this token may not see
            return False

    def _remote(self, repository: Repository) -> Remote | None:
        from huggingface_hub.errors import RepositoryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        where: dict[str, Any] = {"repo_id": repository.id, "repo_type": repository.kind}
        try:
            info = self._api.repo_info(**where)
        except RepositoryNotFoundError:
            return None
        tree = self._api.list_repo_tree(**where, revision=info.sha, recursive=True) if info.sha else ()
        files = {
            file.path: RemoteFile(file.size, file.blob_id, file.lfs.sha256 if file.lfs else None)
            for file in tree
            if isinstance(file, RepoFile)
        }
        mark = self._mark(where, str(info.sha)) if MARK in files else None
        new = mark is None and len(files) <= _TEMPLATE
        if new:
            new = [one.title for one in self._api.list_repo_commits(**where)] == [_FIRST_COMMIT]
        return Remote(bool(info.private), info.sha, files, mark, new)

    def _mark(self, where: Mapping[str, Any], head: str) -> Mapping[str, Any] | None:
        with tempfile.TemporaryDirectory() as folder:
            file = self._api.hf_hub_download(**where, filename=MARK, revision=head, local_dir=folder)
            try:
                found = json.loads(Path(file).read_text(encoding="utf-8"))
            except (ValueError, RecursionError):
                return None
        return found if isinstance(found, dict) else None

    def _created(self, repository: Repository, public: bool) -> Remote:
        sdk = "static" if repository.kind == "space" else None
        kind, private = repository.kind, not public
        self._api.create_repo(repository.id, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
        return self._remote(repository) or Remote(private)

    def _commit(
        self, repository: Repository, plan: Changes, head: str | None, message: str, progress: Progress
    ) -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        paths = repository.files()
        added = [CommitOperationAdd(name, str(paths[name])) for name in plan.add]
        for operation in added:
            self._api.preupload_lfs_files(
                repository.id, [operation], repo_type=repository.kind, num_threads=1, free_memory=False
            )
            progress(operation.upload_info.size, operation.path_in_repo)
        mark = [] if plan.marked else [CommitOperationAdd(MARK, plan.mark)]
        gone = [CommitOperationDelete(name) for name in plan.delete]
        self._api.create_commit(
            repository.id,
            [*gone, *added, *mark],
            commit_message=message,
            repo_type=repository.kind,
            parent_commit=head,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A staged repository beside the Hub's.

    Attributes:
        repository: what is staged.
        run: the run's own id.
        files: its files.
        remote: what the Hub has; None for nothing.
        changes: what a push does.
    """

    repository: Repository
    run: str
    files: Mapping[str, Digest]
    remote: Remote | None
    changes: Changes

    @property
    def size(self) -> int:
        """Bytes that are sent."""
        return sum(self.files[name].size for name in self.changes.add)


@contextmanager
def connected(version: str) -> Iterator[Uploads]:
    """Yields a connection to the Hub, as the user that is logged in on this machine.

    Args:
        version: this package's; the Hub is told it.

    Raises:
        UserError: nobody is logged in, or the token is not valid.
        RunError: the Hub does not answer.
    """
    from huggingface_hub import HfApi, constants, get_token, set_client_factory
    from huggingface_hub.utils import _http

    if not constants.HF_HUB_OFFLINE and get_token() is None:
        raise no_token()

    def client() -> Any:
        made = _http.default_client_factory()
        made.timeout = (CONNECT, READ, READ, CONNECT)  # to connect, read, write, and wait for a connection
        return made

    set_client_factory(client)  # the library's own waits for ever
    try:
        api = HfApi(library_name="synthetic-instruction-tuner", library_version=version)
        with explained("your account"):
            who = api.whoami()
        yield Uploads(api, str(who["name"]), [str(one["name"]) for one in who.get("orgs") or ()])
    finally:
        set_client_factory(_http.default_client_factory)
