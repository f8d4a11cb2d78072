import type { Command } from 'commander';
import { AttestreamError } from '../../schemas/errors.js';
import { examples } from '../examples.js';
import { outputOf } from '../output.js';
import {
  certificatesIn,
  isRoot,
  type KeptCertificate,
  keepCertificates,
  keptCertificates,
  rootsFolder,
} from '../roots-folder.js';

const ROOTS = [
  '--roots <folder>',
  'where they are kept (default: attestream/roots in the configuration folder)',
] as const;

const row = ({ certificate }: KeptCertificate) => ({
  fingerprint: certificate.fingerprint,
  kind: isRoot(certificate) ? 'root' : 'issuer',
  subject: certificate.subjectText,
  notAfter: new Date(certificate.notAfter).toISOString(),
});

export const register = (program: Command): void => {
  const roots = program.command('roots').description('certificates that makers of TPMs are known by; none is shipped');
  roots
    .command('add')
    .description(
      'trust the certificates in files: those that stand for themselves as roots, the others on the way to them',
    )
    .argument('<file...>', 'certificates (PEM or DER)')
    .option(...ROOTS)
    .addHelpText('after', examples(['roots add maker-root.pem maker-issuing.crt', "as the TPM's maker publishes them"]))
    .action(async (files: string[], _options: object, command: Command) => {
      const found = (await Promise.all(files.map(certificatesIn))).flat();
      for (const { certificate, file } of found)
        if (certificate.constraints?.ca !== true)
          throw new AttestreamError('USAGE', `${certificate.subjectText} is not the certificate of an authority`, {
            path: file,
          });
      const added = keepCertificates(
        rootsFolder(command),
        found.map(({ certificate }) => certificate),
      );
      await outputOf(command).rows(
        found.map((kept) => ({ ...row(kept), added: added.has(kept.certificate.fingerprint) })),
      );
    });

  roots
    .command('list')
    .description('the certificates that are trusted, and the name of the set of roots')
    .option(...ROOTS)
    .addHelpText('after', examples(['roots list', 'the digest at the end is what an approval of roots names']))
    .action(async (_options: object, command: Command) => {
      const kept = await keptCertificates(rootsFolder(command));
      const out = outputOf(command);
      await out.rows(kept.map(row), ['fingerprint', 'kind', 'subject', 'notAfter']);
      const { rootSetDigest } = await import('../../processors/run/enrolment/root-set.js');
      out.note(`root set ${rootSetDigest(kept.map(({ certificate }) => certificate).filter(isRoot))}`);
    });
};
