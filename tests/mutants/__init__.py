"""Answers to every exercise: other right ones that its check must accept, wrong ones that it must reject with the diagnosis they deserve."""
RIGHT, WRONG = {}, {}


def right(id):
    """Another correct way to write exercise `id`."""
    def keep(answer):
        RIGHT.setdefault(id, []).append(answer)
        return answer
    return keep


def wrong(id, says):
    """A plausible wrong answer to exercise `id`; the verdict's text must contain `says`."""
    def keep(answer):
        WRONG.setdefault(id, []).append((answer, says))
        return answer
    return keep
