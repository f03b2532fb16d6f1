"""/plan: which plan would have been enough, and what if everything grew."""

from http import HTTPStatus

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from exporter.clock import Clock
from exporter.state.store import Store
from exporter.view import plan_words
from exporter.view.plans import OrganisationPlans, PlanOption, PlanQuestionError, growth_of, plan_document
from exporter.web.period_bars import period_bars

GROWTHS = (0.0, 10.0, 20.0, 50.0)


def plan_page(store: Store, clock: Clock) -> Blueprint:
    page = Blueprint("plan", __name__)

    @page.get("/plan")
    def plan() -> ResponseReturnValue:
        """api, organisation: as the usage page names them; of all where left out. growth: percent.

        option: the plan with its add-ons beside which the bars stand; the best one where left out."""
        asked = {name: value for name in ("api", "organisation") if (value := request.args.get(name, ""))}
        try:
            document = plan_document(
                store.states(),
                clock.now(),
                growth=growth_of(request.args.get("growth", "") or "0"),
                apis=request.args.getlist("api"),
                organisations=request.args.getlist("organisation"),
            )
        except PlanQuestionError as error:
            html = render_template("plan.html", found=None, error=str(error), fragment=False)
            return make_response(html, HTTPStatus.BAD_REQUEST)
        only = document.organisations[0] if len(document.organisations) == 1 else None
        option = _chosen(only, request.args.get("option", "")) if only is not None else None
        html = render_template(
            "plan.html",
            fragment=False,
            error="",
            asked=asked,
            growth=document.growth,
            growths=sorted({*GROWTHS, document.growth}),
            organisations=document.organisations,
            found=only,
            chosen=option,
            scopes=tuple(period_bars(only, option, document.growth)) if only and option else (),
            plan_words=plan_words,
        )
        response = make_response(html)
        response.headers["Cache-Control"] = "no-store"
        return response

    return page


def _chosen(found: OrganisationPlans, named: str) -> PlanOption | None:
    best = found.options[0] if found.options else None
    return next((option for option in found.options if plan_words.name(option) == named), best)
