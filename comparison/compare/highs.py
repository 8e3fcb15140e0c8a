"""HiGHS behind one door: an integer program by columns, ended by processor time, its improvements noted. No model belongs here."""

import math
import time

import highspy
import numpy


# Seconds of the wall that are waited for a second of the processor: on a busy machine they are not the same.
WALL_PER_CPU = 2.0


def program(column_costs, column_upper, columns, row_lower, row_upper, is_integer):
    """A minimisation with these columns, each a list of (row, coefficient)."""
    lp = highspy.HighsLp()
    count = len(column_costs)
    lp.num_col_, lp.num_row_ = count, len(row_lower)
    lp.col_cost_ = numpy.asarray(column_costs, dtype=float)
    lp.col_lower_ = numpy.zeros(count)
    lp.col_upper_ = numpy.asarray(column_upper, dtype=float)
    lp.row_lower_ = numpy.asarray(row_lower, dtype=float)
    lp.row_upper_ = numpy.asarray(row_upper, dtype=float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = numpy.cumsum([0] + [len(column) for column in columns], dtype=numpy.int32)
    lp.a_matrix_.index_ = numpy.fromiter((row for column in columns for row, _ in column), dtype=numpy.int32)
    lp.a_matrix_.value_ = numpy.fromiter((value for column in columns for _, value in column), dtype=float)
    if is_integer:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * count
    return lp


def solver(threads):
    """A silent HiGHS."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", threads)
    if threads == 1:
        highs.setOptionValue("parallel", "off")
    highs.setOptionValue("mip_rel_gap", 1e-6)
    return highs


class Outcome:
    """What a run left: its improvements as (CPU seconds of the process, solution), its bounds, and whether it came to an end."""

    def __init__(self):
        self.improvements = []
        self.bounds = []
        self.ended = False

    def bound_at(self, cpu_seconds):
        """The best bound proven by then; None without one."""
        known = [bound for when, bound in self.bounds if when <= cpu_seconds]
        return max(known, default=None)


def minimise(lp, cpu_seconds, threads, start=None):
    """Runs until the process has used so many CPU seconds, or to the optimum."""
    highs = solver(threads)
    outcome = Outcome()
    kinds = highspy.cb.HighsCallbackType
    interrupts = (kinds.kCallbackMipInterrupt, kinds.kCallbackSimplexInterrupt, kinds.kCallbackIpmInterrupt)

    def note_bound(value):
        # Before the first relaxation is solved the bound is minus infinity, or 0 because no price is negative.
        if math.isfinite(value) and value > 0:
            outcome.bounds.append((time.process_time(), value))

    def callback(kind, _message, out, into, _data):
        if kind == kinds.kCallbackMipImprovingSolution:
            outcome.improvements.append((time.process_time(), numpy.array(out.mip_solution)))
            note_bound(out.mip_dual_bound)
        elif kind in interrupts:
            if kind == kinds.kCallbackMipInterrupt:
                note_bound(out.mip_dual_bound)
            if time.process_time() > cpu_seconds:
                into.user_interrupt = True

    highs.passModel(lp)
    # Programs that HiGHS solves inside (its heuristics) ask no callback, only this clock of the wall.
    highs.setOptionValue("time_limit", WALL_PER_CPU * max(1.0, cpu_seconds - time.process_time()))
    highs.setCallback(callback, None)
    for kind in (kinds.kCallbackMipImprovingSolution, *interrupts):
        highs.startCallback(kind)
    if start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = [float(value) for value in start]
        highs.setSolution(solution)
    highs.run()
    outcome.ended = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    info = highs.getInfo()
    note_bound(info.mip_dual_bound)
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        outcome.improvements.append((time.process_time(), numpy.array(highs.getSolution().col_value)))
    return outcome


def relax(lp, threads, cpu_seconds):
    """Optimal value, column values and row prices of a linear program; None when it was not solved in time."""
    highs = solver(threads)
    kinds = highspy.cb.HighsCallbackType

    def callback(_kind, _message, _out, into, _data):
        if time.process_time() > cpu_seconds:
            into.user_interrupt = True

    highs.passModel(lp)
    highs.setCallback(callback, None)
    highs.startCallback(kinds.kCallbackSimplexInterrupt)
    highs.startCallback(kinds.kCallbackIpmInterrupt)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = highs.getSolution()
    value = highs.getInfo().objective_function_value
    return value, numpy.array(solution.col_value), numpy.array(solution.row_dual)
