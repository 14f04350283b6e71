(** Steps by the sign of the gradient (Adam's first step, Lion).

    A step of η sign(g ∂G/∂θ) on (v, w, q, k, m) moves G at the rate −sign(g) A, where A is the sum
    of the absolute partial derivatives, and with P = |v m̄| + |w m̄| + |v w|

        P ≤ A                always,
        A ≤ (1 + 3B⁴) P      if |q|, |k|, |y|, |m_j| ≤ B,

    for every n and with no n in the constants. So A = Θ(1/L) if and only if P = Θ(1/L). *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention Gradient Bounds Repaired.
Open Scope R_scope.

Definition sign_bar_formula (v w mbar : R) : R := Rabs (v * mbar) + Rabs (w * mbar) + Rabs (v * w).

Definition sign_bar (n : nat) (v w q k y : R) (m : nat -> R) : R :=
  sign_bar_formula v w (attended n q k y m).

Definition sign_gain (n : nat) (v w q k y : R) (m : nat -> R) : R :=
  let mbar := attended n q k y m in
  let V := variance n q k y m in
  Rabs (grad_v w mbar) + Rabs (grad_w v mbar) + Rabs (grad_q v w k y V) + Rabs (grad_k v w q y V)
  + total n (fun j => Rabs (grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar)).

Definition sign_constant (B : R) : R := 1 + 3 * B ^ 4.

(** A is the sum of the absolute derivatives of G itself. *)
Theorem sign_gain_is_absolute_gradient : forall n v w q k y m, (1 <= n)%nat ->
  sign_gain n v w q k y m
  = Rabs (Derive (fun x => output n x w q k y m) v)
    + Rabs (Derive (fun x => output n v x q k y m) w)
    + Rabs (Derive (fun x => output n v w x k y m) q)
    + Rabs (Derive (fun x => output n v w q x y m) k)
    + total n (fun i => Rabs (Derive (fun x => output n v w q k y (update m i x)) (m i))).
Proof.
  intros n v w q k y m Hn.
  rewrite (is_derive_unique _ _ _ (partial_v n v w q k y m Hn)),
    (is_derive_unique _ _ _ (partial_w n v w q k y m Hn)),
    (is_derive_unique _ _ _ (partial_q n v w q k y m Hn)),
    (is_derive_unique _ _ _ (partial_k n v w q k y m Hn)).
  unfold sign_gain. f_equal. apply total_ext. intros i Hi.
  now rewrite (is_derive_unique _ _ _ (partial_m n v w q k y m Hn i Hi)).
Qed.

(** One step of η sign(g ∂G/∂θ) on (v, w, q, k, m), as a function of η. *)
Definition sign_stepped (n : nat) (v w q k y : R) (m : nat -> R) (g eta : R) : R :=
  let mbar := attended n q k y m in
  let V := variance n q k y m in
  output n (v - eta * sign (g * grad_v w mbar)) (w - eta * sign (g * grad_w v mbar))
    (q - eta * sign (g * grad_q v w k y V)) (k - eta * sign (g * grad_k v w q y V)) y
    (fun j => m j - eta * sign (g * grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar)).

Lemma times_sign : forall g d : R, d * - sign (g * d) = - sign g * Rabs d.
Proof.
  intros g d. rewrite sign_mult.
  destruct (Rtotal_order d 0) as [H|[-> |H]].
  - rewrite (sign_eq_m1 d), Rabs_left by assumption. ring.
  - rewrite Rabs_R0. ring.
  - rewrite (sign_eq_1 d), Rabs_right by lra. ring.
Qed.

Theorem sign_step_rate : forall n v w q k y m g, (1 <= n)%nat ->
  is_derive (sign_stepped n v w q k y m g) 0 (- sign g * sign_gain n v w q k y m).
Proof.
  intros n v w q k y m g Hn. unfold sign_stepped.
  set (mbar := attended n q k y m). set (V := variance n q k y m).
  set (s := softmax n (logit q k y m)).
  set (dv := - sign (g * grad_v w mbar)). set (dw := - sign (g * grad_w v mbar)).
  set (dq := - sign (g * grad_q v w k y V)). set (dk := - sign (g * grad_k v w q y V)).
  set (dm := fun j => - sign (g * grad_m v w q k y (s j) (m j) mbar)).
  assert (affine : forall b db u : R, is_derive (fun x : R => b + x * db) u db)
    by (intros; auto_derive; [trivial|ring]).
  apply (is_derive_ext (fun u => output n (v + u * dv) (w + u * dw) (q + u * dq) (k + u * dk) y
                                   (fun j => m j + u * dm j))).
  { intros u. unfold dv, dw, dq, dk, dm.
    replace (fun j => m j + u * - sign (g * grad_m v w q k y (s j) (m j) mbar))
      with (fun j => m j - u * sign (g * grad_m v w q k y (s j) (m j) mbar))
      by (apply FunctionalExtensionality.functional_extensionality; intros; ring).
    f_equal; ring. }
  evar_last.
  { apply (is_derive_output n (fun u => v + u * dv) (fun u => w + u * dw) (fun u => q + u * dq)
      (fun u => k + u * dk) y (fun u j => m j + u * dm j) dv dw dq dk dm 0 Hn);
      intros; apply affine. }
  assert (E : (fun j => m j + 0 * dm j) = m)
    by (apply FunctionalExtensionality.functional_extensionality; intros; ring).
  cbv beta. rewrite E, !Rmult_0_l, !Rplus_0_r. unfold slope, sign_gain. fold mbar V s.
  unfold dv, dw, dq, dk, dm. rewrite !times_sign.
  rewrite (total_ext n _ (fun j => - sign g * Rabs (grad_m v w q k y (s j) (m j) mbar)))
    by (intros; apply times_sign).
  rewrite total_scal. ring.
Qed.

Lemma memory_share : forall n v w q k y m, (1 <= n)%nat ->
  total n (fun j => Rabs (grad_m v w q k y (softmax n (logit q k y m) j) (m j)
                            (attended n q k y m)))
  = Rabs (v * w) * mean n (logit q k y m)
      (fun j => Rabs (1 + q * k * y * (m j - attended n q k y m))).
Proof.
  intros n v w q k y m Hn. unfold mean. rewrite <- total_scal. apply total_ext. intros j Hj.
  unfold grad_m. rewrite !Rabs_mult.
  rewrite (Rabs_right (softmax _ _ _)) by (apply Rle_ge, Rlt_le; now apply softmax_pos). ring.
Qed.

Theorem sign_lower_bound : forall n v w q k y m, (1 <= n)%nat ->
  sign_bar n v w q k y m <= sign_gain n v w q k y m.
Proof.
  intros n v w q k y m Hn. unfold sign_gain, sign_bar, sign_bar_formula, grad_v, grad_w.
  rewrite memory_share by assumption.
  set (c := attended n q k y m). set (V := variance n q k y m). set (l := logit q k y m).
  assert (1 <= mean n l (fun j => Rabs (1 + q * k * y * (m j - c)))).
  { eapply Rle_trans; [|apply mean_abs; assumption].
    replace (mean n l (fun j => 1 + q * k * y * (m j - c))) with 1;
      [rewrite Rabs_R1; lra|]. symmetry. now apply tilted_weights. }
  pose proof (Rabs_pos (v * w)). pose proof (Rabs_pos (grad_q v w k y V)).
  pose proof (Rabs_pos (grad_k v w q y V)).
  assert (Rabs (v * w) * 1 <= Rabs (v * w) * mean n l (fun j => Rabs (1 + q * k * y * (m j - c))))
    by (apply Rmult_le_compat_l; assumption).
  lra.
Qed.

Section Bounded.
Variables (n : nat) (q k y B : R) (m : nat -> R).
Hypothesis Hn : (1 <= n)%nat.
Hypothesis Hq : Rabs q <= B.
Hypothesis Hk : Rabs k <= B.
Hypothesis Hy : Rabs y <= B.
Hypothesis Hm : forall j, (j < n)%nat -> Rabs (m j) <= B.
Let c := attended n q k y m.
Let V := variance n q k y m.
Let l := logit q k y m.

Lemma mean_deviation : 0 <= mean n l (fun j => Rabs (m j - c)) <= B.
Proof.
  assert (HB : 0 <= B) by (eapply Rle_trans; [apply Rabs_pos|exact Hq]).
  assert (H0 : 0 <= mean n l (fun j => Rabs (m j - c))).
  { apply total_nonneg; intros; apply Rmult_le_pos;
      [apply Rlt_le; now apply softmax_pos|apply Rabs_pos]. }
  split; [assumption|].
  pose proof (mean_abs_square n l (fun j => m j - c) Hn) as H. cbv beta in H.
  assert (HV : V <= B ^ 2) by now apply variance_bounded.
  unfold V, variance in HV. fold l c in HV.
  apply Rnot_lt_le. intros Hlt.
  set (e := mean n l (fun j => Rabs (m j - c))) in *. nra.
Qed.

Theorem sign_upper_bound : forall v w,
  sign_gain n v w q k y m <= sign_constant B * sign_bar n v w q k y m.
Proof.
  intros v w.
  assert (HB : 0 <= B) by (eapply Rle_trans; [apply Rabs_pos|exact Hq]).
  unfold sign_gain, sign_bar, sign_bar_formula, grad_v, grad_w, grad_q, grad_k, sign_constant.
  rewrite memory_share by assumption. fold l c V.
  destruct mean_deviation as [D0 D1]. set (e := mean n l (fun j => Rabs (m j - c))) in *.
  assert (HV : V <= B ^ 2) by now apply variance_bounded.
  assert (HV0 : 0 <= V) by now apply variance_nonneg.
  assert (HE : mean n l (fun j => Rabs (1 + q * k * y * (m j - c))) <= 1 + Rabs (q * k * y) * e).
  { unfold e.
    replace (1 + Rabs (q * k * y) * mean n l (fun j => Rabs (m j - c)))
      with (mean n l (fun j => 1 + Rabs (q * k * y) * Rabs (m j - c)))
      by (rewrite mean_plus, mean_scal, mean_const by assumption; reflexivity).
    apply mean_le; [assumption|]. intros j Hj.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_R1, Rabs_mult. lra. }
  rewrite (Rabs_mult (v * w * k * y)), (Rabs_mult (v * w * k)), (Rabs_mult (v * w) k).
  rewrite (Rabs_mult (v * w * q * y)), (Rabs_mult (v * w * q)), (Rabs_mult (v * w) q).
  rewrite (Rabs_right V) by lra. rewrite !Rabs_mult in HE.
  rewrite (Rmult_comm w c), (Rmult_comm v c).
  set (p := Rabs (v * w)). assert (Hp : 0 <= p) by apply Rabs_pos.
  pose proof (Rabs_pos (c * v)) as Ha. pose proof (Rabs_pos (c * w)) as Hb.
  pose proof (Rabs_pos q) as Q0. pose proof (Rabs_pos k) as K0. pose proof (Rabs_pos y) as Y0.
  set (aq := Rabs q) in *. set (ak := Rabs k) in *. set (ay := Rabs y) in *.
  set (x := Rabs (c * v)) in *. set (z := Rabs (c * w)) in *.
  set (E := mean n l (fun j => Rabs (1 + q * k * y * (m j - c)))) in *.
  clearbody aq ak ay x z p e V E.
  assert (T0 : 0 <= B * B) by now apply Rmult_le_pos.
  assert (T1 : aq * ak <= B * B) by (apply Rmult_le_compat; assumption).
  assert (T2 : ay * e <= B * B) by (apply Rmult_le_compat; assumption).
  assert (T3 : aq * ak * ay * e <= B ^ 4).
  { replace (aq * ak * ay * e) with ((aq * ak) * (ay * e)) by ring.
    replace (B ^ 4) with ((B * B) * (B * B)) by ring.
    apply Rmult_le_compat; try assumption; now apply Rmult_le_pos. }
  assert (T4 : aq * ay * V <= B ^ 4).
  { replace (B ^ 4) with ((B * B) * B ^ 2) by ring.
    apply Rmult_le_compat; try assumption; [now apply Rmult_le_pos|].
    apply Rmult_le_compat; assumption. }
  assert (T5 : ak * ay * V <= B ^ 4).
  { replace (B ^ 4) with ((B * B) * B ^ 2) by ring.
    apply Rmult_le_compat; try assumption; [now apply Rmult_le_pos|].
    apply Rmult_le_compat; assumption. }
  assert (0 <= B ^ 4) by now apply pow_le.
  assert (F : p * (ak * ay * V + aq * ay * V + E) <= p * (1 + 3 * B ^ 4))
    by (apply Rmult_le_compat_l; lra).
  assert (0 <= 3 * B ^ 4 * (x + z)) by (apply Rmult_le_pos; lra).
  lra.
Qed.
End Bounded.

Definition family_sign_gain (n : nat) (f : family) (L : nat) : R :=
  sign_gain n (value f L) (out f L) (query f L) (key f L) (token f L) (memory f L).
Definition family_sign_bar (n : nat) (f : family) (L : nat) : R :=
  sign_bar n (value f L) (out f L) (query f L) (key f L) (token f L) (memory f L).

(** The theorem under steps by the sign: norms instead of squared norms. *)
Theorem sign_theorem : forall n B f, (1 <= n)%nat -> bounded n B f ->
  (theta (family_sign_gain n f) <-> theta (family_sign_bar n f)).
Proof.
  intros n B f Hn Hb.
  assert (HU : 0 < sign_constant B)
    by (unfold sign_constant; replace (B ^ 4) with ((B ^ 2) ^ 2) by ring;
        pose proof (pow2_ge_0 (B ^ 2)); lra).
  assert (Low : forall L, 1 * family_sign_bar n f L <= family_sign_gain n f L)
    by (intros; rewrite Rmult_1_l; now apply sign_lower_bound).
  assert (Up : forall L, (1 <= L)%nat ->
    family_sign_gain n f L <= sign_constant B * family_sign_bar n f L).
  { intros L HL. destruct (Hb L HL) as (Hq & Hk & Hy & Hm). now apply sign_upper_bound. }
  split; intros [Hlow Hup]; split.
  - apply (omega_scaled (family_sign_gain n f) _ (/ sign_constant B));
      [now apply Rinv_0_lt_compat | assumption |].
    intros L HL. apply Rmult_le_reg_l with (sign_constant B); [assumption|].
    rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra. now apply Up.
  - apply (big_o_scaled (family_sign_gain n f) _ 1); [lra | assumption |].
    intros L HL. rewrite Rmult_1_l. rewrite <- (Rmult_1_l (family_sign_bar n f L)). apply Low.
  - apply (omega_scaled (family_sign_bar n f) _ 1); [lra | assumption |]. intros; apply Low.
  - apply (big_o_scaled (family_sign_bar n f) _ (sign_constant B)); [assumption | assumption |].
    intros; now apply Up.
Qed.
