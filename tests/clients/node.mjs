// The JavaScript client drives a cluster; each argument names a part of what it does.
//
// Run inside of a lab by the tests; KUBECONFIG says where the cluster is. Pinned in scripts/clients.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

// Modules are found beside the importing file; these are in a folder of their own.
const found = createRequire(`${process.env.SKIFF_CLIENTS}/node/`).resolve('@kubernetes/client-node');
const k8s = await import(pathToFileURL(found));

const NS = 'node';
const kc = new k8s.KubeConfig();
kc.loadFromDefault();
const core = kc.makeApiClient(k8s.CoreV1Api);
const apps = kc.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(kc);
const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: NS },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'main', image: 'httpenv' }] },
    },
  },
};

async function until(what, attempt, seconds = 10) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await attempt();
    if (value) return value;
    assert(Date.now() < deadline, `${what}: not within ${seconds} s`);
    await pause(20);
  }
}

const attempted = (promise) => promise.then(() => true, (error) => { if (error.code === 404) return false; throw error; });

class Text extends Writable {
  text = '';
  _write(chunk, _encoding, done) { this.text += chunk; done(); }
}

// A namespace with a Deployment whose pods are up, seen by a watch.
async function start() {
  await core.createNamespace({ body: { metadata: { name: NS } } });
  await until('the service account', () => attempted(core.readNamespacedServiceAccount({ name: 'default', namespace: NS })));
  await objects.create(deployment);
  const running = new Set();
  await new Promise((done, fail) => {
    const options = { labelSelector: 'app=web', allowWatchBookmarks: true, timeoutSeconds: 20 };
    const seen = (_type, pod) => {
      if (pod.status?.phase === 'Running') running.add(pod.metadata.name);
      if (running.size === 2) done();
    };
    const ended = (error) => (running.size === 2 ? done() : fail(error ?? new Error('the watch ended')));
    new k8s.Watch(kc).watch(`/api/v1/namespaces/${NS}/pods`, options, seen, ended).catch(fail);
  });
  return [...running][0];
}

const parts = {
  // An informer sees what happens, in order.
  async informer() {
    const seen = [];
    const list = () => core.listNamespacedConfigMap({ namespace: NS });
    const informer = k8s.makeInformer(kc, `/api/v1/namespaces/${NS}/configmaps`, list);
    for (const event of ['add', 'update', 'delete']) {
      informer.on(event, (object) => { if (object.metadata.name === 'seen') seen.push(event); });
    }
    await informer.start();
    await core.createNamespacedConfigMap({ namespace: NS, body: { metadata: { name: 'seen' }, data: { a: '1' } } });
    const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);
    await core.patchNamespacedConfigMap({ name: 'seen', namespace: NS, body: { data: { a: '2' } } }, merge);
    await core.deleteNamespacedConfigMap({ name: 'seen', namespace: NS });
    await until('the events', () => seen.length === 3);
    assert.deepEqual(seen, ['add', 'update', 'delete']);
    await informer.stop();
  },

  // Objects of any kind, found by discovery, and the patches.
  async objects() {
    assert.equal((await objects.read(deployment)).spec.replicas, 2);
    const smaller = { ...deployment, spec: { replicas: 1 } };
    const strategic = k8s.PatchStrategy.StrategicMergePatch;
    const patched = await objects.patch(smaller, undefined, undefined, undefined, undefined, strategic);
    assert.equal(patched.spec.replicas, 1);
    assert.equal(patched.spec.template.spec.containers[0].image, 'httpenv');
    const scale = await apps.readNamespacedDeploymentScale({ name: 'web', namespace: NS });
    scale.spec.replicas = 2;
    // Controllers write as well: only without a version is it sure to be the latest.
    delete scale.metadata.resourceVersion;
    await apps.replaceNamespacedDeploymentScale({ name: 'web', namespace: NS, body: scale });
    const listed = await objects.list('apps/v1', 'Deployment', NS, undefined, undefined, undefined, undefined, 'a!=b');
    assert.deepEqual(listed.items.map((one) => [one.kind ?? 'Deployment', one.spec.replicas]), [['Deployment', 2]]);
  },

  async logs(pod) {
    const output = new Text();
    await new k8s.Log(kc).log(NS, pod, 'main', output, { tailLines: 1 });
    await until('the log', () => output.text.includes('listening'));
  },

  // A command runs in the pod, over a WebSocket.
  async execute(pod) {
    const output = new Text();
    const command = ['/httpenv', 'get', 'http://localhost:8888/'];
    const status = await new Promise((done, fail) => {
      new k8s.Exec(kc).exec(NS, pod, 'main', command, output, new Text(), null, false, done).catch(fail);
    });
    assert.equal(status.status, 'Success');
    await until('the output', () => output.text.includes(pod));
  },

  // Server-side apply: the owner is recorded, another one is told.
  async apply() {
    const of = (value) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace: NS }, data: { a: value } });
    const side = k8s.PatchStrategy.ServerSideApply;
    const made = await objects.patch(of('b'), undefined, undefined, 'one', false, side);
    assert.deepEqual(made.metadata.managedFields.map((one) => [one.manager, one.operation]), [['one', 'Apply']]);
    await assert.rejects(objects.patch(of('c'), undefined, undefined, 'two', false, side), { code: 409 });
    assert.equal((await objects.patch(of('c'), undefined, undefined, 'two', true, side)).data.a, 'c');
  },
};

async function end() {
  await assert.rejects(core.readNamespacedPod({ name: 'none', namespace: NS }), { code: 404 });
  await objects.delete(deployment, undefined, undefined, 0, undefined, 'Foreground');
  await core.deleteNamespace({ name: NS });
  await until('the end of the namespace', async () => !(await attempted(core.readNamespace({ name: NS }))));
}

const pod = await start();
for (const part of process.argv.slice(2)) await parts[part](pod);
await end();
console.log('passed');
// Watches and keep-alive connections would hold the process.
process.exit(0);
