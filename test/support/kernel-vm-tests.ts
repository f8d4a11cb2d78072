import { kernelVmParts } from './kernel-vm-parts.js';
import { realPart } from './real-part.js';

/** `describe` for tests against a real kernel with IMA and a TPM, in a virtual machine. */
export const withKernelVm = realPart('kernel', kernelVmParts);
