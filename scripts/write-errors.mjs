// Writes docs/errors.md from the error table of dist/ (npm run build first). A test holds the page to the table.
import { writeFileSync } from 'node:fs';
import { exitCodeOf } from '../dist/cli/exit.js';
import { AttestreamError, ERRORS } from '../dist/schemas/errors.js';

const sections = Object.entries(ERRORS).map(
  ([code, text]) => `### ${code}\n\nExit code ${exitCodeOf(new AttestreamError(code, ''))}. ${text}\n`,
);
writeFileSync(
  new URL('../docs/errors.md', import.meta.url),
  `# Errors

Every failure is one line on stderr, \`attestream: CODE: what happened, to what (where)\`, and the code is stable. Dead letters
carry the same codes. This page is written by \`node scripts/write-errors.mjs\` from \`schemas/errors.ts\`.

Exit codes:

- **0** done; of a query whatever it shows, of a service that it ended as asked
- **1** a finding: \`replay\` that concluded \`violated\`, \`overdue\` or \`contraindicated\`; \`policy check\`, \`doctor\`,
  \`topics check\`, \`db audit\` with findings. Never a crash
- **2** usage, configuration, or a file that cannot be used as given
- **3** infrastructure: broker, database, operating system, or a defect of attestream
- **130** interrupted

A closed stdout (\`| head\`) ends a command quietly with 0.

## Codes

${sections.join('\n')}`,
);
