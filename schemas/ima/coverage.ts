import { builtInRules, type PolicyRule, parseMeasurementPolicy, policiesOfCommandLine } from './measurement-policy.js';

/** `mask=^MAY_READ` holds wherever `mask=MAY_READ` does, and `euid=0` or `uid=0` for other users than either alone. */
const implies = (stricter: string, condition: string): boolean =>
  stricter === condition || (condition.startsWith('mask=^') && stricter === `mask=${condition.slice('mask=^'.length)}`);

/** Whether `rule` measures all that `required` does: each of its conditions is one of the required rule's. */
const measuresAllOf = (rule: PolicyRule, required: PolicyRule): boolean =>
  rule.conditions.every((condition) => required.conditions.some((wanted) => implies(wanted, condition)));

/** Whether an exception can touch what is required: not if both name different hooks. */
const canTouch = (exception: PolicyRule, required: PolicyRule): boolean => {
  const funcOf = (rule: PolicyRule): string | undefined =>
    rule.conditions.find((condition) => condition.startsWith('func='));
  const [a, b] = [funcOf(exception), funcOf(required)];
  return a === undefined || b === undefined || a === b;
};

const sameRule = (a: PolicyRule, b: PolicyRule): boolean =>
  a.action === b.action && [...a.conditions].sort().join(' ') === [...b.conditions].sort().join(' ');

const isIn = (rule: PolicyRule, rules: readonly PolicyRule[]): boolean => rules.some((known) => sameRule(known, rule));

export interface Coverage {
  /** Required rules that nothing gives, as text. Empty: coverage is proven. */
  readonly missing: readonly string[];
  /** Exceptions that are not among the allowed ones and stand before a rule that is needed. */
  readonly exceptions: readonly string[];
}

const textOf = ({ action, conditions }: PolicyRule): string => [action, ...conditions].join(' ');

/**
 * Whether rules measure at least what is required. The kernel takes the first rule that matches, so an exception that stands
 * before the rule that gives something takes away from it, unless the requirement itself makes that exception.
 * @param required `measure …` rules that must be given, `dont_measure …` rules that may be made
 */
export const coverageOfRules = (rules: readonly PolicyRule[], required: readonly PolicyRule[]): Coverage => {
  const allowed = required.filter(({ action }) => action === 'dont_measure');
  const missing: string[] = [];
  const exceptions = new Set<string>();
  for (const wanted of required) {
    if (wanted.action !== 'measure') continue;
    const at = rules.findIndex((rule) => rule.action === 'measure' && measuresAllOf(rule, wanted));
    if (at < 0) {
      missing.push(textOf(wanted));
      continue;
    }
    const taken = rules
      .slice(0, at)
      .filter((rule) => rule.action === 'dont_measure' && canTouch(rule, wanted) && !isIn(rule, allowed));
    if (taken.length === 0) continue;
    for (const rule of taken) exceptions.add(textOf(rule));
    missing.push(textOf(wanted));
  }
  return { missing, exceptions: [...exceptions] };
};

/** What is asked for: the name of a built-in policy, or the text of rules. Throws IMA_INVALID. */
export const requiredRules = (required: string): PolicyRule[] =>
  builtInRules(required) ?? parseMeasurementPolicy(required);

/**
 * Coverage by a kernel command line that is proven (`kernelCommandLines`). A policy that was loaded later replaces the built-in
 * ones: where the list shows one, its own rules count, not these.
 */
export const coverageOfCommandLine = (commandLine: string, required: readonly PolicyRule[]): Coverage =>
  coverageOfRules(
    policiesOfCommandLine(commandLine).flatMap((name) => builtInRules(name)!),
    required,
  );

/** Coverage by a policy file whose digest the list shows. Throws IMA_INVALID for a text that is no policy. */
export const coverageOfPolicy = (text: string, required: readonly PolicyRule[]): Coverage =>
  coverageOfRules(parseMeasurementPolicy(text), required);
