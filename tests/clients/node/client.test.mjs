// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The official JavaScript client against a virtual control plane: typed calls, errors, an informer, server-side apply.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromFile(process.env.KUBECONFIG);
const core = config.makeApiClient(k8s.CoreV1Api);

async function eventually(what, check) {
  const deadline = Date.now() + 20_000;
  while (!(await check())) {
    assert.ok(Date.now() < deadline, `${what} did not come true`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('typed calls and errors', async () => {
  const namespaces = await core.listNamespace();
  assert.ok(namespaces.items.some((item) => item.metadata.name === 'default'));
  const body = { metadata: { name: 'node-map' }, data: { a: '1' } };
  const made = await core.createNamespacedConfigMap({ namespace: 'default', body });
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  await assert.rejects(core.createNamespacedConfigMap({ namespace: 'default', body }), (error) => error.code === 409);
  made.data.b = '2';
  await core.replaceNamespacedConfigMap({ name: 'node-map', namespace: 'default', body: made });
  const read = await core.readNamespacedConfigMap({ name: 'node-map', namespace: 'default' });
  assert.deepEqual(read.data, { a: '1', b: '2' });
  await core.deleteNamespacedConfigMap({ name: 'node-map', namespace: 'default' });
  await assert.rejects(core.readNamespacedConfigMap({ name: 'node-map', namespace: 'default' }), (error) => error.code === 404);
});

test('an informer sees additions, updates and deletions', async () => {
  const seen = { add: 0, update: 0, delete: 0 };
  const list = () => core.listNamespacedConfigMap({ namespace: 'default', labelSelector: 'suite=node' });
  const informer = k8s.makeInformer(config, '/api/v1/namespaces/default/configmaps', list, 'suite=node');
  for (const kind of Object.keys(seen)) informer.on(kind, () => { seen[kind] += 1; });
  let stopped = false;
  informer.on('error', (error) => { if (!stopped) throw error; });
  await informer.start();
  try {
    for (let number = 0; number < 10; number += 1) {
      const name = `informed-${number}`;
      const metadata = { name, labels: { suite: 'node' } };
      const made = await core.createNamespacedConfigMap({ namespace: 'default', body: { metadata } });
      made.data = { k: 'v' };
      await core.replaceNamespacedConfigMap({ name, namespace: 'default', body: made });
      await core.deleteNamespacedConfigMap({ name, namespace: 'default' });
    }
    await eventually('all events', () => seen.add === 10 && seen.update === 10 && seen.delete === 10);
  } finally {
    stopped = true; // stopping aborts the request, which the client reports as an error
    await informer.stop();
  }
});

test('objects of any kind, with server-side apply', async () => {
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const spec = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace: 'default' }, data: { a: '1' } };
  await objects.patch(spec, undefined, undefined, 'node-suite', true, k8s.PatchStrategy.ServerSideApply);
  const live = await objects.read(spec);
  assert.deepEqual(live.data, { a: '1' });
  assert.equal(live.metadata.managedFields[0].manager, 'node-suite');
  await objects.delete(spec);
});
