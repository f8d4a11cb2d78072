import type { Action, Actions, MachineConfig, StateNode, Transition } from '../../../schemas/policy/policy.js';
import { resolveTarget, type State, stateTree } from '../../../schemas/policy/state-tree.js';
import { listOf } from '../../../schemas/policy/transitions.js';

/** A state as a picture shows it. Ids are plain words (`s3`), as names of states may hold anything. */
interface Box {
  readonly id: string;
  readonly name: string;
  readonly kind: 'leaf' | 'compound' | 'parallel' | 'final';
  readonly violation: boolean;
  readonly initial: string | undefined;
  readonly notes: readonly string[];
  readonly inner: readonly Box[];
}

interface Line {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}

interface Picture {
  readonly root: Box;
  readonly lines: readonly Line[];
}

const listed = (actions: Actions | undefined): readonly Action[] =>
  actions === undefined ? [] : Array.isArray(actions) ? actions : [actions as Action];

const actionText = (action: Action): string =>
  action.type === 'raise'
    ? `raise ${action.params.event}`
    : Object.entries(action.params)
        .map(([name, value]) => `${name} := ${value}`)
        .join(', ');

/** `event [guard] / actions`, as UML writes it. */
const labelOf = (event: string, transition: Transition): string => {
  const guard =
    transition.guard === undefined
      ? ''
      : typeof transition.guard === 'string'
        ? transition.guard
        : transition.guard.type;
  const actions = listed(transition.actions).map(actionText).join('; ');
  const reenter = transition.reenter === true ? ' (reenter)' : '';
  return `${event}${guard === '' ? '' : ` [${guard}]`}${actions === '' ? '' : ` / ${actions}`}${reenter}`;
};

const pictureOf = (machine: MachineConfig): Picture => {
  const tree = stateTree(machine);
  const ids = new Map(tree.states.map((state, i) => [state, `s${i}`]));
  const lines: Line[] = [];

  const draw = (state: State, event: string, transition: Transition): string | undefined => {
    const label = labelOf(event, transition);
    const named = transition.target === undefined ? [] : [transition.target].flat();
    for (const target of named) {
      const resolved = resolveTarget(tree, state, target);
      if ('state' in resolved) lines.push({ from: ids.get(state)!, to: ids.get(resolved.state)!, label });
    }
    // What does not lead anywhere is written into the state.
    if (named.length > 0) return undefined;
    return transition.actions === undefined ? `${label} forbidden` : label;
  };

  /** Depth is bounded by the policy document's. */
  const boxOf = (state: State): Box => {
    const { node } = state;
    const notes: string[] = [];
    for (const [word, actions] of [
      ['entry', node.entry],
      ['exit', node.exit],
    ] as const) {
      for (const action of listed(actions)) notes.push(`${word} / ${actionText(action)}`);
    }
    for (const [event, transition] of transitionsOf(node)) {
      const note = draw(state, event, transition);
      if (note !== undefined) notes.push(note);
    }
    const initial = node.initial === undefined ? undefined : state.children.get(node.initial);
    return {
      id: ids.get(state)!,
      name: state.parent === null ? 'machine' : state.key,
      kind:
        node.type === 'final' || node.type === 'parallel' ? node.type : state.children.size > 0 ? 'compound' : 'leaf',
      violation: [node.tags ?? []].flat().includes('violation'),
      initial: initial && ids.get(initial),
      notes,
      inner: [...state.children.values()].map(boxOf),
    };
  };
  return { root: boxOf(tree.root), lines };
};

const transitionsOf = (node: StateNode): (readonly [string, Transition])[] => [
  ...Object.entries(node.on ?? {}).flatMap(([event, written]) => listOf(written).map((one) => [event, one] as const)),
  ...Object.entries(node.after ?? {}).flatMap(([delay, written]) =>
    listOf(written).map((one) => [`after ${delay} ms`, one] as const),
  ),
  ...listOf(node.always).map((one) => ['always', one] as const),
  ...listOf(node.onDone).map((one) => ['done', one] as const),
];

/** Everything but letters, digits and a few harmless marks becomes an entity, so that no name can end a statement. */
const mermaidText = (text: string): string =>
  text.replace(/[^\p{L}\p{N} _.,/()=<>+*-]/gu, (character) => `#${character.codePointAt(0)};`);

/** A Mermaid `stateDiagram-v2` of a policy's machine, as Markdown renderers draw it. */
export const mermaidOf = (machine: MachineConfig): string => {
  const { root, lines } = pictureOf(machine);
  const out = ['stateDiagram-v2', '  classDef violation fill:#fdd,stroke:#b00'];
  const write = (box: Box, indent: string): void => {
    const label = mermaidText([box.name, ...box.notes].join(' · '));
    if (box.inner.length === 0) {
      out.push(`${indent}state "${label}" as ${box.id}`);
      if (box.kind === 'final') out.push(`${indent}${box.id} --> [*]`);
    } else {
      out.push(`${indent}state "${label}" as ${box.id} {`);
      box.inner.forEach((inner, i) => {
        if (i > 0 && box.kind === 'parallel') out.push(`${indent}  --`);
        write(inner, `${indent}  `);
      });
      if (box.initial !== undefined) out.push(`${indent}  [*] --> ${box.initial}`);
      out.push(`${indent}}`);
    }
    if (box.violation) out.push(`${indent}class ${box.id} violation`);
  };
  write(root, '  ');
  for (const { from, to, label } of lines) out.push(`  ${from} --> ${to} : ${mermaidText(label)}`);
  return `${out.join('\n')}\n`;
};

const dotText = (text: string): string => `"${text.replace(/["\\]/g, '\\$&').replace(/[\n\r]/g, ' ')}"`;

/** A Graphviz graph of a policy's machine; states with inner states are clusters. */
export const dotOf = (machine: MachineConfig): string => {
  const { root, lines } = pictureOf(machine);
  const out = ['digraph machine {', '  compound=true', '  node [shape=box, style=rounded]'];
  const clusters = new Set<string>();
  /** Graphviz draws edges between nodes only: a cluster is met at a point inside of it. */
  const write = (box: Box, indent: string): void => {
    const label = dotText([box.name, ...box.notes].join(' · '));
    const colour = box.violation ? ', color="#bb0000"' : '';
    if (box.inner.length === 0) {
      out.push(`${indent}${box.id} [label=${label}${box.kind === 'final' ? ', peripheries=2' : ''}${colour}]`);
      return;
    }
    clusters.add(box.id);
    out.push(`${indent}subgraph cluster_${box.id} {`, `${indent}  label=${label}`);
    out.push(`${indent}  style="rounded${box.kind === 'parallel' ? ',dashed' : ''}"`);
    if (box.violation) out.push(`${indent}  color="#bb0000"`);
    out.push(`${indent}  ${box.id} [shape=point]`);
    for (const inner of box.inner) write(inner, `${indent}  `);
    const begins =
      box.kind === 'parallel' ? box.inner.map(({ id }) => id) : box.initial === undefined ? [] : [box.initial];
    for (const id of begins)
      out.push(`${indent}  ${box.id} -> ${id}${clusters.has(id) ? ` [lhead=cluster_${id}]` : ''}`);
    out.push(`${indent}}`);
  };
  write(root, '  ');
  for (const { from, to, label } of lines) {
    const ends = [
      ...(clusters.has(from) ? [`ltail=cluster_${from}`] : []),
      ...(clusters.has(to) ? [`lhead=cluster_${to}`] : []),
    ];
    out.push(`  ${from} -> ${to} [label=${dotText(label)}${ends.map((end) => `, ${end}`).join('')}]`);
  }
  out.push('}');
  return `${out.join('\n')}\n`;
};
