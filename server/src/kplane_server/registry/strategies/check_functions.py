# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which function checks which type; the rows without code are in ``check_rows``."""

from __future__ import annotations

from typing import Final

from kplane_server.registry.strategies import checks_admission as admission
from kplane_server.registry.strategies import checks_config as config
from kplane_server.registry.strategies import checks_mutations as mutations
from kplane_server.registry.strategies import checks_pods as pods
from kplane_server.registry.strategies import checks_policies as policies
from kplane_server.registry.strategies import checks_services as services
from kplane_server.registry.strategies import checks_workloads as workloads
from kplane_server.registry.strategies.check_rows import ROWS
from kplane_server.registry.strategies.checks import Check, Checker, label_selector

FUNCTIONS: Final[dict[str, Check]] = {
    "admissionregistration.v1.MutatingWebhook": admission.webhook,
    "admissionregistration.v1.NamedRuleWithOperations": admission.rule,
    "admissionregistration.v1.RuleWithOperations": admission.rule,
    "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": admission.policy_binding_spec,
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": policies.policy_spec,
    "admissionregistration.v1.ValidatingWebhook": admission.webhook,
    "admissionregistration.v1beta1.MutatingAdmissionPolicyBindingSpec": mutations.binding_spec,
    "admissionregistration.v1beta1.MutatingAdmissionPolicySpec": mutations.policy_spec,
    "admissionregistration.v1beta1.Mutation": mutations.mutation,
    "admissionregistration.v1beta1.NamedRuleWithOperations": admission.rule,
    "apps.v1.DaemonSetSpec": workloads.daemon_set_spec,
    "apps.v1.DaemonSetUpdateStrategy": workloads.daemon_set_strategy,
    "apps.v1.DeploymentSpec": workloads.deployment_spec,
    "apps.v1.DeploymentStrategy": workloads.deployment_strategy,
    "apps.v1.ReplicaSetSpec": workloads.replica_set_spec,
    "apps.v1.StatefulSetSpec": workloads.stateful_set_spec,
    "autoscaling.v1.HorizontalPodAutoscalerSpec": workloads.autoscaler_spec,
    "autoscaling.v2.HorizontalPodAutoscalerSpec": workloads.autoscaler_spec,
    "autoscaling.v2.MetricSpec": workloads.metric_spec,
    "autoscaling.v2.MetricTarget": workloads.metric_target,
    "batch.v1.CronJobSpec": workloads.cron_job_spec,
    "batch.v1.JobSpec": workloads.job_spec,
    "certificates.v1.CertificateSigningRequestSpec": admission.signing_request_spec,
    "core.v1.ConfigMap": config.config_map,
    "core.v1.Container": pods.container,
    "core.v1.EndpointSubset": services.endpoint_subset,
    "core.v1.EnvVar": pods.env_var,
    "core.v1.EphemeralContainer": pods.container,
    "core.v1.HTTPGetAction": pods.http_get,
    "core.v1.HostPathVolumeSource": pods.host_path,
    "core.v1.KeyToPath": pods.key_to_path,
    "core.v1.LifecycleHandler": pods.handler,
    "core.v1.LimitRangeItem": config.limit_range_item,
    "core.v1.NodeSelectorRequirement": pods.node_selector_requirement,
    "core.v1.PersistentVolumeClaimSpec": config.claim_spec,
    "core.v1.PersistentVolumeClaimVolumeSource": pods.claim_source,
    "core.v1.PersistentVolumeSpec": config.volume_spec,
    "core.v1.Pod": pods.pod,
    "core.v1.PodSpec": pods.pod_spec,
    "core.v1.PodTemplateSpec": pods.pod_template,
    "core.v1.Probe": pods.handler,
    "core.v1.ReplicationControllerSpec": workloads.replication_controller_spec,
    "core.v1.ResourceQuotaSpec": config.quota_spec,
    "core.v1.ResourceRequirements": pods.resources,
    "core.v1.Secret": config.secret,
    "core.v1.ScopedResourceSelectorRequirement": config.scope_requirement,
    "core.v1.ServiceSpec": services.service_spec,
    "core.v1.TCPSocketAction": pods.tcp_socket,
    "core.v1.Toleration": pods.toleration,
    "core.v1.Volume": pods.volume,
    "discovery.v1.EndpointSlice": services.endpoint_slice,
    "flowcontrol.v1.LimitResponse": admission.limit_response,
    "flowcontrol.v1.PriorityLevelConfigurationSpec": admission.priority_level_spec,
    "flowcontrol.v1.Subject": admission.flow_subject,
    "meta.v1.LabelSelector": label_selector,
    "networking.v1.HTTPIngressPath": services.ingress_path,
    "networking.v1.HTTPIngressRuleValue": services.http_rule,
    "networking.v1.IPBlock": services.ip_block,
    "networking.v1.IngressBackend": services.ingress_backend,
    "networking.v1.IngressSpec": services.ingress_spec,
    "networking.v1.NetworkPolicyPeer": services.network_policy_peer,
    "networking.v1.NetworkPolicyPort": services.network_policy_port,
    "networking.v1.NetworkPolicySpec": services.network_policy_spec,
    "networking.v1.ParentReference": services.parent_reference,
    "networking.v1.ServiceCIDRSpec": services.service_cidr_spec,
    "policy.v1.PodDisruptionBudgetSpec": workloads.disruption_budget_spec,
    "rbac.v1.ClusterRole": config.cluster_role,
    "rbac.v1.ClusterRoleBinding": config.cluster_role_binding,
    "rbac.v1.Role": config.role,
    "rbac.v1.RoleBinding": config.role_binding,
    "rbac.v1.Subject": config.subject,
    "storage.v1.StorageClass": config.storage_class,
}

CHECKER: Final = Checker(ROWS, FUNCTIONS)
