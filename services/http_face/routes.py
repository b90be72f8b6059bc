"""Which route a request took, as a name that callers cannot make up."""

from fastapi.routing import APIRoute
from starlette.types import Scope

OTHER = "other"
"""Paths that are no route."""


class Routes:
    """Names the route of a request by its path template, e.g. /v1/jobs/{id}.

    What is answered before routing (413, 408) has no route; its path is known once it has been routed before.
    """

    def __init__(self) -> None:
        self._plain: set[str] = set()

    def name(self, scope: Scope) -> str:
        route, path = scope.get("route"), str(scope["path"])
        if not isinstance(route, APIRoute):
            return path if path in self._plain else OTHER
        template, params = route.path_format, scope.get("path_params", {})
        if any(f"{{{name}}}" not in template for name in params):
            return template
        filled = template.format(**params)
        prefix = path.removesuffix(filled) if path.endswith(filled) else ""  # a router's; templates are without it
        name = prefix + template
        if not params:
            self._plain.add(name)
        return name
