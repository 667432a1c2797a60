"""Blueprints and their prompts: one's own, and those that are everybody's to read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from contracts.blueprint import (
    MAX_BLUEPRINTS,
    Blueprint,
    BlueprintPage,
    FoundPrompt,
    Prompt,
    PromptDraft,
)
from contracts.errors import Conflict, InvalidInput, NotFound
from contracts.paging import Cursor
from store.columns import Id, Moment
from store.expressions import greatest
from store.language_tables import blueprints, prompt_blueprints, prompts
from store.session import Session

_USER: Final = bindparam("own_user", type_=Id)
_OWN: Final = and_(blueprints.c.id == bindparam("own_id"), blueprints.c.user_id == _USER)
_READABLE: Final = or_(blueprints.c.user_id == _USER, blueprints.c.is_public)
_ORDER: Final = (blueprints.c.created_at.desc(), blueprints.c.id.desc())
_AFTER: Final = tuple_(blueprints.c.created_at, blueprints.c.id) < tuple_(
    bindparam("after_at", type_=Moment), bindparam("after_id", type_=Id)
)


def _page(*start: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    """Each half brings its newest by its own index; only those few are sorted together."""
    most = bindparam("most", type_=Integer)
    halves = (
        (blueprints.c.user_id == _USER,),
        (blueprints.c.is_public == true(), blueprints.c.user_id.is_distinct_from(_USER)),
    )
    newest = union_all(
        *(
            select(select(blueprints).where(*half, *start).order_by(*_ORDER).limit(most).subquery())
            for half in halves
        )
    ).subquery()
    order = (newest.c.created_at.desc(), newest.c.id.desc())
    return select(newest).order_by(*order).limit(most)


_PAGE: Final = _page()
_PAGE_AFTER: Final = _page(_AFTER)
_FIND: Final = select(blueprints).where(blueprints.c.id == bindparam("own_id"), _READABLE)
_COUNT: Final = select(func.count()).select_from(blueprints).where(blueprints.c.user_id == _USER)
_CREATE: Final = insert(blueprints)
_DELETE: Final = delete(blueprints).where(_OWN)
_PROMPTS: Final = (
    select(prompt_blueprints.c.blueprint_id, prompt_blueprints.c.sort_order, prompts)
    .join(prompts, prompts.c.id == prompt_blueprints.c.prompt_id)
    .where(prompt_blueprints.c.blueprint_id.in_(bindparam("of_ids", expanding=True, type_=Id)))
    .order_by(prompt_blueprints.c.blueprint_id, prompt_blueprints.c.sort_order, prompts.c.id)
)
_PROMPT: Final = (
    select(prompts, prompt_blueprints.c.sort_order, blueprints.c.system_prompt)
    .join(prompt_blueprints, prompt_blueprints.c.prompt_id == prompts.c.id)
    .join(blueprints, blueprints.c.id == prompt_blueprints.c.blueprint_id)
    .where(prompts.c.id == bindparam("own_id"), _READABLE)
    .order_by(blueprints.c.id)
    .limit(1)
)
_ADD_PROMPT: Final = insert(prompts)
_LINK: Final = insert(prompt_blueprints)
_UNLINK: Final = delete(prompt_blueprints).where(
    prompt_blueprints.c.blueprint_id == bindparam("own_id")
)
_OWN_PROMPT: Final = and_(prompts.c.id == bindparam("own_prompt"), prompts.c.user_id == _USER)
_REWRITE: Final = (
    update(prompts)
    .where(_OWN_PROMPT)
    .values(
        prompt_text=bindparam("new_text"),
        memory_title=bindparam("new_title"),
        updated_at=bindparam("now", type_=Moment),
    )
)
_DROP_PROMPT: Final = delete(prompts).where(
    _OWN_PROMPT, ~exists().where(prompt_blueprints.c.prompt_id == prompts.c.id)
)


class Blueprints:
    """The blueprint rows and their prompts, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(
        self,
        blueprint_id: str,
        user_id: str,
        *,
        name: Mapping[str, str],
        description: Mapping[str, str],
        system_prompt: Mapping[str, str],
        is_public: bool,
        drafts: Sequence[PromptDraft],
    ) -> Blueprint:
        """Write a blueprint with its prompts, in the order they are given.

        Raises:
            Conflict: ``too_many_blueprints``, the user has as many as anybody may have.
        """
        if await self._session.value(_COUNT, {"own_user": user_id}) >= MAX_BLUEPRINTS:
            message = f"There are {MAX_BLUEPRINTS} blueprints already"
            raise Conflict(message, code="too_many_blueprints")
        now = self._session.now
        row = {
            "id": blueprint_id,
            "user_id": user_id,
            "name": dict(name),
            "description": dict(description),
            "system_prompt": dict(system_prompt),
            "is_public": is_public,
            "created_at": now,
            "updated_at": now,
        }
        await self._session.run(_CREATE, row)
        await self._put_prompts(blueprint_id, user_id, drafts, present={})
        return await self._whole(blueprint_id, user_id)

    async def find(self, blueprint_id: str, user_id: str) -> Blueprint | None:
        """A blueprint of the user's own, or a public one."""
        row = await self._session.row(_FIND, _own(blueprint_id, user_id))
        return None if row is None else (await self._with_prompts([row]))[0]

    async def page(self, user_id: str, *, limit: int, after: Cursor | None = None) -> BlueprintPage:
        """Blueprints of the user's own and public ones, newest first.

        Args:
            after: where the page before ended; as fast on every page.
        """
        values: dict[str, Any] = {"own_user": user_id, "most": limit + 1}
        statement = _PAGE
        if after is not None:
            statement = _PAGE_AFTER
            values |= {"after_at": after.created_at, "after_id": after.id}
        rows = await self._session.rows(statement, values)
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            following = Cursor(created_at=last.created_at, id=last.id)
        return BlueprintPage(
            blueprints=tuple(await self._with_prompts(rows[:limit])), next=following
        )

    async def change(
        self,
        blueprint_id: str,
        user_id: str,
        changes: Mapping[str, Any],
        drafts: Sequence[PromptDraft] | None = None,
    ) -> Blueprint:
        """Change columns; prompts, when given, take the place of all there were.

        Raises:
            NotFound: no such blueprint of this user.
            InvalidInput: ``unknown_prompt``, a prompt has the id of none of this blueprint.
        """
        now = bindparam("now", type_=Moment)
        statement = (
            update(blueprints)
            .where(_OWN)
            .values({**changes, "updated_at": greatest(blueprints.c.updated_at, now)})
        )
        own = {**_own(blueprint_id, user_id), "now": self._session.now}
        if not await self._session.run(statement, own):
            raise NotFound
        if drafts is not None:
            before = await self._prompts([blueprint_id])
            present = {prompt.id: prompt for prompt in before[blueprint_id]}
            await self._put_prompts(blueprint_id, user_id, drafts, present)
        return await self._whole(blueprint_id, user_id)

    async def delete(self, blueprint_id: str, user_id: str) -> bool:
        """Remove it with the prompts nothing else uses; false when it is not the user's."""
        before = await self._prompts([blueprint_id])
        if not await self._session.run(_DELETE, _own(blueprint_id, user_id)):
            return False
        await self._drop(user_id, [prompt.id for prompt in before[blueprint_id]])
        return True

    async def prompt(self, prompt_id: str, user_id: str) -> FoundPrompt | None:
        """A prompt of a blueprint that the user may read."""
        row = await self._session.row(_PROMPT, _own(prompt_id, user_id))
        if row is None:
            return None
        return FoundPrompt(prompt=_prompt(row), system_prompt=row.system_prompt or {})

    async def _whole(self, blueprint_id: str, user_id: str) -> Blueprint:
        found = await self.find(blueprint_id, user_id)
        if found is None:
            raise NotFound
        return found

    async def _with_prompts(self, rows: Sequence[Row[Any]]) -> Sequence[Blueprint]:
        by_blueprint = await self._prompts([row.id for row in rows])
        return [_blueprint(row, by_blueprint[row.id]) for row in rows]

    async def _prompts(self, blueprint_ids: Sequence[str]) -> defaultdict[str, list[Prompt]]:
        found: defaultdict[str, list[Prompt]] = defaultdict(list)
        if blueprint_ids:
            for row in await self._session.rows(_PROMPTS, {"of_ids": list(blueprint_ids)}):
                found[row.blueprint_id].append(_prompt(row))
        return found

    async def _put_prompts(
        self,
        blueprint_id: str,
        user_id: str,
        drafts: Sequence[PromptDraft],
        present: Mapping[str, Prompt],
    ) -> None:
        if any(draft.id is not None and draft.id not in present for draft in drafts):
            message = "A prompt has the id of none of this blueprint"
            raise InvalidInput(message, code="unknown_prompt")
        await self._session.run(_UNLINK, {"own_id": blueprint_id})
        kept: set[str] = set()
        for place, draft in enumerate(drafts):
            prompt_id = await self._put_prompt(user_id, draft)
            kept.add(prompt_id)
            row = {"prompt_id": prompt_id, "blueprint_id": blueprint_id, "sort_order": place}
            await self._session.run(_LINK, row)
        await self._drop(user_id, [each for each in present if each not in kept])

    async def _put_prompt(self, user_id: str, draft: PromptDraft) -> str:
        """A prompt that is somebody else's is used as it is."""
        now = self._session.now
        if draft.id is not None:
            values = {
                "own_prompt": draft.id,
                "own_user": user_id,
                "new_text": draft.prompt_text,
                "new_title": draft.memory_title,
                "now": now,
            }
            await self._session.run(_REWRITE, values)
            return draft.id
        row = {
            "id": str(uuid4()),
            "user_id": user_id,
            "prompt_text": draft.prompt_text,
            "memory_title": draft.memory_title,
            "created_at": now,
            "updated_at": now,
        }
        await self._session.run(_ADD_PROMPT, row)
        return str(row["id"])

    async def _drop(self, user_id: str, prompt_ids: Sequence[str]) -> None:
        for prompt_id in prompt_ids:
            await self._session.run(_DROP_PROMPT, {"own_prompt": prompt_id, "own_user": user_id})


def _own(row_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": row_id, "own_user": user_id}


def _prompt(row: Row[Any]) -> Prompt:
    return Prompt(
        id=row.id,
        prompt_text=row.prompt_text,
        memory_title=row.memory_title or {},
        sort_order=row.sort_order,
    )


def _blueprint(row: Row[Any], own: Sequence[Prompt]) -> Blueprint:
    texts = {name: getattr(row, name) or {} for name in ("description", "system_prompt")}
    return Blueprint.model_validate({**row._asdict(), **texts, "prompts": tuple(own)})
